// Picks from Basecoat the components that the cabinet uses, in one style, for Tailwind to build.
// Run by build.sh; see ../README.md.
import { readFileSync, writeFileSync } from "node:fs";

const PARTS = [
  "alert", "badge", "button", "card", "checkbox", "dialog", "empty", "field", "input", "kbd",
  "label", "native-select", "radio", "switch", "table", "tabs", "textarea",
];
const basecoat = "node_modules/basecoat-css/dist";

// A style is one layer, with a heading before the rules of each component.
const style = readFileSync(`${basecoat}/styles/nova.css`, "utf8");
const rules = style
  .replace("@layer components {", "")
  .replace(/\}\s*$/, "")
  .split(/^\s*\/\* (?=[A-Z])/m)
  .filter((section) => PARTS.includes(nameOf(section)))
  .map((section) => section.slice(section.indexOf("*/") + 2));

function nameOf(section) {
  return section.slice(0, Math.max(0, section.indexOf(" */"))).toLowerCase().replaceAll(" ", "-");
}

// "As the system has it" is a theme of ours, and needs no script: the class is written by the server.
const DARK = `@custom-variant dark {
  &:is(html.dark *) { @slot; }
  @media (prefers-color-scheme: dark) { &:is(html.system *) { @slot; } }
}`;
const base = readFileSync(`${basecoat}/base/base.css`, "utf8");
writeFileSync("base.css", base.replace(/@custom-variant dark .*;/, DARK));

writeFileSync(
  "basecoat.in.css",
  [
    '@import "tailwindcss/theme.css" layer(theme);',
    '@import "tailwindcss/preflight.css" layer(base);',
    '@import "./base.css";',
    ...PARTS.map((part) => `@import "./${basecoat}/components/${part}.css";`),
    `@layer components {${rules.join("\n")}}`,
  ].join("\n"),
);
