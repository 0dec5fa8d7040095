// Reads /console.json once a second and shows it. Text goes in as text nodes only, so nothing that came from outside is read as markup.
"use strict";

const at = (id) => document.getElementById(id);
const count = (n) => n.toLocaleString("en", { maximumFractionDigits: n < 100 ? 1 : 0 });
const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

function time(us) {
  if (us === null) return "–";
  if (us < 1000) return `${us.toFixed(us < 100 ? 1 : 0)} µs`;
  return us < 1e6 ? `${(us / 1e3).toFixed(us < 1e5 ? 2 : 0)} ms` : `${(us / 1e6).toFixed(2)} s`;
}

function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

function bar(...shares) {
  const whole = element("span", "bar");
  for (const share of shares) {
    const part = element("i");
    part.style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
    whole.append(part);
  }
  return whole;
}

// Rows of cells: text, a number's text as [text], or an element. A focused button stays focused.
function table(id, heads, rows, none) {
  const focused = document.activeElement?.dataset?.name;
  const cell = (content) => Array.isArray(content) ? element("td", "number", content[0]) : element("td", content?.className === "text" ? "text" : "", content ?? "–");
  const head = element("tr", "", ...heads.map((head) => element("th", head.startsWith("#") ? "number" : "", head.replace("#", ""))));
  const body = rows.map((row) => element("tr", "", ...row.map(cell)));
  at(id).replaceChildren(...(rows.length ? [head, ...body] : [element("tr", "", element("td", "quiet", none))]));
  if (focused) at(id).querySelector(`[data-name="${CSS.escape(focused)}"]`)?.focus();
}

function button(text, name, act) {
  const made = element("button", "", text);
  made.dataset.name = name;
  made.addEventListener("click", act);
  return made;
}

function chart(id, lines) {
  const top = Math.max(1, ...lines.flatMap((line) => line.values.filter((value) => value !== null)));
  at(id).setAttribute("viewBox", "0 0 119 100");
  at(id).setAttribute("preserveAspectRatio", "none");
  at(id).replaceChildren(...lines.map(({ values, className }) => {
    const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    const points = values.map((value, n) => value === null ? null : `${119 - values.length + 1 + n},${98 - 96 * value / top}`);
    line.setAttribute("points", points.filter((point) => point !== null).join(" "));
    line.setAttribute("class", className);
    return line;
  }));
  return top;
}

function showHead(view) {
  at("state").textContent = view.state;
  at("state").className = `pill ${view.state === "ready" ? "good" : "warn"}`;
  const up = view.uptime_s;
  const uptime = up < 3600 ? `${Math.floor(up / 60)} min ${up % 60} s` : `${Math.floor(up / 3600)} h ${Math.floor(up % 3600 / 60)} min`;
  at("about").textContent = `${view.version} (${view.build}) · up ${uptime} · ${view.data}`;
  const { recent, now } = view;
  const gauges = {
    "Orders/s": recent.orders_per_s, "Answers/s": recent.answers_per_s, "Open orders": now.open_orders,
    Connections: now.connections, "At the shards": now.inflight, "Stopped shards": now.stopped_shards,
  };
  at("gauges").replaceChildren(...Object.entries(gauges).map(([name, value]) =>
    element("div", "", element("dt", "", name), element("dd", "", count(value)))));
  const rate = chart("rates", [{ values: recent.orders, className: "" }, { values: recent.refused, className: "bad" }]);
  const longest = chart("times", [{ values: recent.p50_us, className: "" }, { values: recent.p99_us, className: "warn" }]);
  at("rate-top").textContent = `· top ${count(rate)}`;
  at("time-top").textContent = `· top ${time(longest)}`;
}

function showDemand(view) {
  table("hot", ["SKU", "", "#orders", "#sold out", "#refused", "available", "#left", "#held", "#sold"], view.hot.map((row) => {
    const stock = row.stock;
    const act = row.paused ? "resume" : "pause";
    const name = element("span", row.paused ? "warn" : "", row.paused ? `${row.sku} (paused)` : row.sku);
    name.title = row.name ?? "";
    const press = button(act === "pause" ? "Pause" : "Resume", `sku ${row.sku}`, () => actions.setPaused(row.sku, act));
    return [name, press, [count(row.orders)], [count(row.sold_out)], [count(row.refused)],
      stock ? bar(stock.available / Math.max(1, stock.stocked)) : null,
      [stock ? count(stock.available) : "–"], [stock ? count(stock.held) : "–"], [stock ? count(stock.sold) : "–"]];
  }), "nobody has ordered anything in the last minute");
  table("refusals", ["reason", "#a second", "#since the start"],
    view.recent.refusals.map((row) => [row.reason, [count(row.per_s)], [count(row.total)]]), "none");
}

function showInside(view) {
  const { recent } = view;
  table("stages", ["stage", "#p50", "#p99"], recent.stages.map((row) => [row.stage, [time(row.p50_us)], [time(row.p99_us)]]), "nothing yet");
  table("threads", ["thread", "", "#busy", "#disk"], [
    ...recent.nets.map((busy, n) => [`net-${n}`, bar(busy), [percent(busy)], [""]]),
    ...recent.shards.map(([busy, disk], n) => [`shard-${n}`, bar(busy, disk), [percent(busy)], [percent(disk)]]),
  ], "starting");
  table("breakers", ["breaker", "state", "by hand", "#refused", ""], view.breakers.map((row) => {
    const act = row.forced === "auto" ? "open" : "auto";
    return [row.name, element("span", row.state === "open" ? "bad" : "good", row.state), row.forced, [count(row.refused)],
      button(act === "open" ? "Force open" : "Let go", `breaker ${row.name}`, () => actions.setBreaker(row.name, act))];
  }), "none");
  const owed = ["log owed to it", [`${count(view.now.backlog_bytes / 1048576)} MiB`]];
  const feed = view.feed.map(([name, value]) => [name, [count(value)]]);
  table("feed", ["figure", "#"], [...(feed.length ? feed : [["no backoffice", [""]]]), owed], "");
}

function showPast(view) {
  const word = (text) => element("span", "text", text);
  table("slow", ["when", "#total", "request", "#status", "code", "SKU", "#queue", "#commit", "client", "request id"], view.slow.map((row) => [
    row.at.slice(11, 23), [time(row.total_us)], `${row.method} ${row.route.replace(/^[A-Z]+ /, "")}`, [String(row.status)], row.code, row.sku,
    [row.stages ? time(row.stages.ring_wait_us) : "–"], [row.stages ? time(row.stages.commit_us) : "–"], row.client, row.id,
  ]), "nothing in the last minute");
  table("log", ["when", "level", "line"], view.log.slice(0, 12).map((line) => [
    new Date(line.at_ms).toISOString().slice(11, 19), element("span", line.level === "ERROR" ? "bad" : "warn", line.level), word(line.text),
  ]), "none");
}

let version = null;

async function refresh() {
  try {
    const answer = await fetch("/console.json", { cache: "no-store", signal: AbortSignal.timeout(3000) });
    if (!answer.ok) throw new Error(answer.statusText);
    const view = await answer.json();
    // Another build behind the same address: this page is not its page.
    if (version !== null && version !== view.version) location.reload();
    version = view.version;
    document.body.classList.remove("stale");
    showHead(view);
    showDemand(view);
    showInside(view);
    showPast(view);
  } catch {
    document.body.classList.add("stale");
    at("state").textContent = "disconnected";
    at("state").className = "pill bad";
  }
  setTimeout(refresh, 1000);
}

document.addEventListener("DOMContentLoaded", refresh);
