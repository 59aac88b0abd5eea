// Charts over the numbers that stand in the page. Drawn again when the numbers or the theme change.
"use strict";

(() => {
  let chart = null;

  // Colours are light-dark() in the style: an element has to wear one to tell what it is now.
  function colour(name) {
    const probe = document.createElement("span");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const said = getComputedStyle(probe).color;
    probe.remove();
    return said;
  }

  function formatter(data, compact) {
    const options = compact ? { notation: "compact", maximumFractionDigits: 1 } : { maximumFractionDigits: 9 };
    if (!data.currency) return new Intl.NumberFormat(data.language, options);
    const money = { style: "currency", currency: data.currency, currencyDisplay: "narrowSymbol" };
    return new Intl.NumberFormat(data.language, { ...money, minimumFractionDigits: 0, ...(compact ? { notation: "compact", maximumSignificantDigits: 3 } : options) });
  }

  function datasets(data) {
    const line = data.kind === "line";
    return data.series.map((series, number) => ({
      label: series.name,
      data: series.values.map((value) => (value === null ? null : Number(value))),
      backgroundColor: line ? "transparent" : colour(`--chart-${number + 1}`),
      borderColor: colour(`--chart-${number + 1}`),
      borderWidth: line ? 2 : 0,
      borderRadius: line ? 0 : 2,
      maxBarThickness: 36,
      pointRadius: 0,
      pointHitRadius: 12,
      tension: 0,
      stepped: false,
    }));
  }

  function axis(data) {
    const said = formatter(data, true);
    return {
      x: { stacked: data.kind !== "line", grid: { display: false }, border: { display: false }, ticks: { maxRotation: 0, autoSkipPadding: 16 } },
      y: { stacked: data.kind !== "line", beginAtZero: true, border: { display: false }, grid: { color: colour("--border") }, ticks: { maxTicksLimit: 5, callback: (value) => said.format(value) } },
    };
  }

  function draw() {
    chart?.destroy();
    chart = null;
    // Without an id: htmx would carry the old one's style attribute over, which the policy refuses.
    const canvas = document.querySelector("canvas[data-chart]");
    const source = document.getElementById("chart-data");
    if (!canvas || !source || !window.Chart) return;
    const data = JSON.parse(source.textContent);
    const exact = formatter(data, false);
    Chart.defaults.color = colour("--muted-foreground");
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    chart = new Chart(canvas, {
      type: data.kind ?? "bar",
      data: { labels: data.labels, datasets: datasets(data) },
      options: {
        animation: false,
        responsive: true,
        maintainAspectRatio: false,
        interaction: { mode: "index", intersect: false },
        scales: axis(data),
        onClick: (_event, hit) => {
          if (hit.length && data.links) location.href = data.links[hit[0].index];
        },
        onHover: (event, hit) => {
          event.native.target.style.cursor = hit.length && data.links ? "pointer" : "default";
        },
        plugins: {
          legend: { display: data.series.length > 1, position: "bottom", align: "start", labels: { boxWidth: 10, boxHeight: 10, borderRadius: 2, useBorderRadius: true, padding: 14 } },
          tooltip: {
            filter: (item) => item.raw !== null && item.raw !== 0,
            itemSort: (one, other) => other.raw - one.raw,
            callbacks: { label: (item) => ` ${item.dataset.label}: ${exact.format(item.raw)}` },
          },
        },
      },
    });
  }

  draw();
  document.addEventListener("htmx:after:swap", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
