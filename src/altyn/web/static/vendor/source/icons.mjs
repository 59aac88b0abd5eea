// Takes the drawings that the cabinet uses out of Lucide, without their frames. Run by build.sh.
import { readFileSync, writeFileSync } from "node:fs";

const NAMES = [
  "activity", "arrow-right", "ban", "book-open", "boxes", "calendar", "chart-column", "check",
  "chevron-down", "chevron-left", "chevron-right", "circle", "circle-alert", "circle-check",
  "circle-dashed", "circle-pause", "circle-x", "clock", "copy", "credit-card", "download",
  "ellipsis", "external-link", "eye", "eye-off", "file-text", "funnel", "gauge", "gift", "globe",
  "info", "key-round", "layout-dashboard", "list", "lock", "log-out", "mail", "menu",
  "message-square", "monitor", "moon", "pause", "pencil", "play", "plus", "receipt-text",
  "rotate-cw", "search", "send", "settings", "shield-check", "smartphone", "square", "sun",
  "terminal", "ticket", "trash-2", "triangle-alert", "user", "users", "wallet", "x", "zap",
];

const drawn = {};
for (const name of NAMES) {
  const svg = readFileSync(`node_modules/lucide-static/icons/${name}.svg`, "utf8");
  drawn[name] = svg
    .slice(svg.indexOf(">", svg.indexOf("<svg")) + 1, svg.lastIndexOf("</svg>"))
    .replaceAll(/\s*\n\s*/g, "");
}
writeFileSync(process.argv[2], `${JSON.stringify(drawn, null, 1)}\n`);
