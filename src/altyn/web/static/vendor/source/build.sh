#!/bin/sh
# Makes every file of ../ again, from the packages of npm; see ../README.md. Needs node and npm.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --ignore-scripts \
    htmx.org@4.0.1 chart.js@4.6.1 basecoat-css@1.0.2 lucide-static@1.62.0 \
    @fontsource-variable/inter@5.3.0 \
    tailwindcss@4.3.5 @tailwindcss/cli@4.3.5
node "$here/parts.mjs"
node "$here/icons.mjs" "$here/../icons.json"
npx tailwindcss -i basecoat.in.css -o "$here/../basecoat.css" --minify

# The maps are not delivered: a browser's tools would look for them in vain.
deliver() {
    sed '/^\/\/# sourceMappingURL=/d' "node_modules/$1" >"$here/../$2"
}
deliver htmx.org/dist/htmx.min.js htmx.js
deliver chart.js/dist/chart.umd.min.js chart.js

for script in latin cyrillic; do
    cp "node_modules/@fontsource-variable/inter/files/inter-$script-wght-normal.woff2" \
        "$here/../inter-$script.woff2"
done

cp node_modules/@fontsource-variable/inter/LICENSE "$here/../inter.LICENSE"
cp node_modules/htmx.org/LICENSE "$here/../htmx.LICENSE"
cp node_modules/chart.js/LICENSE.md "$here/../chart.LICENSE"
cp node_modules/basecoat-css/LICENSE.md "$here/../basecoat.LICENSE"
cp node_modules/lucide-static/LICENSE "$here/../lucide.LICENSE"
cp node_modules/tailwindcss/LICENSE "$here/../tailwind.LICENSE"

cd "$here/.."
sha256sum basecoat.css chart.js htmx.js icons.json inter-*.woff2 >sha256sums
