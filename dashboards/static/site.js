/* Theme, age of the page, charts. No framework, no network: data is in the page. */
(function () {
  "use strict";
  var root = document.documentElement;
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  var holder = document.getElementById("data");
  var page = holder ? JSON.parse(holder.textContent) : { figures: {}, templates: {} };
  var drawn = {};

  function theme() {
    return root.dataset.theme || (dark.matches ? "dark" : "light");
  }

  /* A phone has no room for long names or for a legend of bands beside the plot. */
  function fit(id, box) {
    var figure = page.figures[id];
    var layout = JSON.parse(JSON.stringify(figure.layout));
    var narrow = box.clientWidth < 560;
    layout.template = page.templates[printing ? "light" : theme()];
    layout.autosize = true;
    if (narrow) {
      layout.dragmode = false;
      var named = figure.data.filter(function (trace) { return trace.showlegend !== false; }).length;
      if (figure.data.length > 1) { layout.height += 10 * named; box.style.height = layout.height + "px"; }
      if (layout.meta && layout.meta.labels === "y" && layout.yaxis && layout.yaxis.ticktext) {
        layout.yaxis.ticktext = layout.yaxis.ticktext.map(function (text) {
          var name = text.indexOf("/") >= 0 ? text.slice(text.lastIndexOf("/") + 1) : text;
          return name.length > 17 ? name.slice(0, 16) + "…" : name;
        });
      }
    }
    var data = !narrow ? figure.data : figure.data.map(function (trace) {
      return trace.type === "heatmap" && trace.z[0].length > 40 ? Object.assign({}, trace, { xgap: 0 }) : trace;
    });
    return { data: data, layout: layout };
  }

  function draw(box) {
    var made = fit(box.id, box);
    drawn[box.id] = box;
    return window.Plotly.react(box, made.data, made.layout, {
      responsive: true,
      displaylogo: false,
      displayModeBar: false
    }).then(function () { box.dataset.drawn = "yes"; });
  }

  var printing = false;
  function redraw() {
    Object.keys(drawn).forEach(function (id) { draw(drawn[id]); });
  }

  function toggle() {
    var next = theme() === "dark" ? "light" : "dark";
    root.dataset.theme = next;
    try { localStorage.setItem("arguslab-theme", next); } catch (refused) { /* file:// may refuse to remember */ }
    redraw();
  }

  function spell(minutes) {
    if (minutes < 120) { return Math.round(minutes) + " minutes"; }
    if (minutes < 2880) { return Math.round(minutes / 60) + " hours"; }
    return Math.round(minutes / 1440) + " days";
  }

  function age() {
    var seconds = (Date.now() - Number(root.dataset.asOf)) / 1000;
    var banner = document.getElementById("stale");
    var old = seconds > Number(root.dataset.staleAfter);
    banner.hidden = !old;
    if (old) {
      banner.textContent = "This page is " + spell(seconds / 60) + " old: what it says about “now” may no longer hold. "
        + "Reload it; if it stays old, the monitor or its builds have stopped.";
    }
  }

  document.getElementById("theme").addEventListener("click", toggle);
  dark.addEventListener("change", function () { if (!root.dataset.theme) { redraw(); } });
  age();
  window.setInterval(age, 30000);

  var boxes = Array.prototype.slice.call(document.querySelectorAll(".plot"));
  if (boxes.length && window.Plotly) {
    var watcher = new IntersectionObserver(function (entries) {
      entries.forEach(function (entry) {
        if (entry.isIntersecting) { watcher.unobserve(entry.target); draw(entry.target); }
      });
    }, { rootMargin: "600px" });
    boxes.forEach(function (box) { watcher.observe(box); });
    Array.prototype.forEach.call(document.querySelectorAll("button.png"), function (button) {
      button.hidden = false;
      button.addEventListener("click", function () {
        Array.prototype.forEach.call(button.closest("section").querySelectorAll(".plot"), function (box) {
          draw(box).then(function () {
            return window.Plotly.downloadImage(box, { format: "png", width: 1200, height: box.clientHeight, scale: 2, filename: box.id });
          });
        });
      });
    });
    window.addEventListener("beforeprint", function () { printing = true; boxes.forEach(draw); });
    window.addEventListener("afterprint", function () { printing = false; redraw(); });
  }
})();
