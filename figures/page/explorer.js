// The page of the two turning points: sliders in, curves out. `formulas` and d3 stand before it.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const TOLERANCE = 0.01; // of the flat window, as in `howspec predict`

// --- what can be set -------------------------------------------------------------------------
// key, label, unit, low, high, digits, hint; `log`: the slider moves in powers; `in`: shown in.
const SLIDERS = [
  { key: "alpha", label: "Acceptance rate, alpha", low: 0, high: 1, hint: "of a draft token, given those before it" },
  { key: "decay", label: "Decay of alpha with depth", low: 0.7, high: 1.1, hint: "factor from one draft token to the next" },
  { key: "cost", label: "Cost ratio", low: 0, high: 1, hint: "time of a draft step, in plain steps of the target" },
  { key: "verify", label: "Verify slope", low: 0, high: 0.3, hint: "what each further token adds to verifying" },
  { key: "overhead", label: "Overhead of a round", low: 0, high: 1, hint: "beyond its passes, paid only when drafting" },
  { key: "target", label: "Target size", unit: "B", in: 1e9, low: 1e7, high: 2e12, log: true, hint: "parameters" },
  { key: "draft", label: "Draft size", unit: "B", in: 1e9, low: 1e6, high: 1e12, log: true, hint: "moves alpha and cost ratio along the ladder" },
  { key: "bits", label: "Bits of the draft's weights", low: 2, high: 16, step: 0.5, hint: "the target has 16" },
  { key: "top", label: "Largest K", low: 2, high: 32, step: 1, hint: "draft tokens per round that are tried" },
];
const LADDER = [
  { key: "exponent", label: "Exponent of rejection in size", low: 0.05, high: 1, hint: "rejection falls as size to the minus this" },
  { key: "floor", label: "Rejection that no size removes", low: 0, high: 0.45, hint: "share of the rejection of your draft" },
  { key: "fixed", label: "Draft time that size leaves alone", low: 0, high: 0.95, hint: "share of the step of your draft" },
];
const ALL = [...SLIDERS, ...LADDER];
const FOUR_BITS = 4;
const start = { ...data.start, anchorDraft: data.start.draft, anchorTarget: data.start.target, anchorBits: data.start.bits };
let state = { ...start };
let messages = [];

const short = (x, digits = 4) => Number(x.toPrecision(digits));
const size = (x) => (x >= 1e12 ? `${short(x / 1e12, 3)}T` : x >= 1e9 ? `${short(x / 1e9, 3)}B` : `${short(x / 1e6, 3)}M`);
const share = (s) => (s > 0.7 ? s.toFixed(2) : `1/${s > 0.1 ? short(1 / s, 2) : Math.round(1 / s)}`);
const capital = (text) => text[0].toUpperCase() + text.slice(1);
const clip = (x, low, high) => Math.min(Math.max(x, low), high); // where a mark is drawn, not what is said

// --- what follows from it ---------------------------------------------------------------------
/** The ladder through the draft whose alpha and cost ratio were set. */
function ladderOf(s) {
  const rejected = 1 - s.alpha, kappa = data.bitsExponent;
  const floor = s.floor * rejected;
  const rounding = data.bitsShare * rejected * Math.exp(kappa * FOUR_BITS);
  const scale = s.anchorDraft / s.anchorTarget, fixed = s.fixed * s.cost;
  const coefficient = formulas.rejection_coefficient(s.alpha, scale, s.anchorBits, floor, s.exponent, rounding, kappa);
  const slope = formulas.cost_slope(s.cost, scale, s.anchorBits, data.targetBits, fixed);
  return (at, bits) => at === scale && bits === s.anchorBits ? { alpha: s.alpha, cost: s.cost } : {
    alpha: formulas.acceptance_at_bits(at, bits, floor, coefficient, s.exponent, rounding, kappa),
    cost: formulas.cost_at_bits(at, bits, data.targetBits, fixed, slope),
  };
}

/** Latency over plain decoding at K = 0..top, into `out`. */
function latencies(alpha, decay, cost, verify, overhead, top, out = []) {
  let survival = 1, tokens = 1;
  out[0] = 1;
  for (let k = 1; k <= top; k++) {
    if (decay === 1) tokens = formulas.tokens_per_round(alpha, k);
    else {
      survival *= formulas.conditional_rate(alpha, decay, k);
      tokens += survival;
    }
    out[k] = formulas.round_cost(k, cost, verify, overhead) / tokens;
  }
  return out;
}

function least(values, top) {
  let best = 0;
  for (let k = 1; k <= top; k++) if (values[k] < values[best]) best = k;
  return best;
}

/** alpha above which some K pays, null where none does. */
function breakEven(s) {
  const table = [];
  const pays = (alpha) => {
    latencies(alpha, s.decay, s.cost, s.verify, s.overhead, s.top, table);
    return table[least(table, s.top)] < 1;
  };
  if (!pays(1)) return null;
  let low = 0, high = 1;
  for (let i = 0; i < 52; i++) {
    const middle = (low + high) / 2;
    if (pays(middle)) high = middle; else low = middle;
  }
  return high;
}

/** The draws of the posterior around what the sliders say: each keeps its distance to the middle. */
function posterior(now) {
  if (!data.draws) return [];
  const odds = (p) => Math.log(p / (1 - p)), back = (x) => 1 / (1 + Math.exp(-x));
  const ratio = (value, drawn, middle) => (middle > 0 ? (value * drawn) / middle : value + drawn);
  const { middle, sample } = data.draws;
  return sample.map((d) => ({
    alpha: now.alpha > 0 && now.alpha < 1 ? back(odds(now.alpha) + odds(d.alpha) - odds(middle.alpha)) : now.alpha,
    decay: ratio(now.decay, d.decay, middle.decay),
    cost: ratio(now.cost, d.cost, middle.cost),
    verify: ratio(now.verify, d.verify, middle.verify),
    overhead: ratio(now.overhead, d.overhead, middle.overhead),
  }));
}

function quantiles(rows, i, level) {
  const sorted = Float64Array.from(rows, (r) => r[i]).sort();
  return [d3.quantileSorted(sorted, (1 - level) / 2), d3.quantileSorted(sorted, (1 + level) / 2)];
}

/** Everything that is drawn and said. */
function answer(s) {
  const along = ladderOf(s), scale = s.draft / s.target, top = s.top;
  const own = along(scale, s.bits);
  const now = { ...s, alpha: Number(own.alpha.toPrecision(6)), cost: Number(own.cost.toPrecision(6)) };
  const valid = now.alpha >= 0;
  if (!valid) now.alpha = 0;
  const byGamma = latencies(now.alpha, now.decay, now.cost, now.verify, now.overhead, top);
  const gamma = least(byGamma, top), best = byGamma[gamma];
  const window = d3.range(top + 1).filter((k) => 1 / byGamma[k] >= (1 - TOLERANCE) / best);
  const draws = posterior(now);
  const rows = draws.map((d) => latencies(d.alpha, d.decay, d.cost, d.verify, d.overhead, top));
  const band = rows.length ? d3.range(top + 1).map((k) => quantiles(rows, k, data.level)) : null;
  let last = gamma;
  while (last < top && byGamma[last + 1] < 1) last++;
  return { now, valid, gamma, byGamma, speedup: 1 / best, window, band, last, even: breakEven(now),
    ...overScale(now, along, s, draws) };
}

const SIZES = 97;
function overScale(now, along, s, draws) {
  const own = s.draft / s.target, low = Math.min(1e-3, own * 0.7), high = Math.max(1, own);
  const scales = d3.range(SIZES).map((i) => low * (high / low) ** (i / (SIZES - 1)));
  const table = [];
  const at = (x) => {
    const p = along(x, s.bits);
    if (!(p.alpha >= 0)) return null;
    latencies(p.alpha, s.decay, p.cost, s.verify, s.overhead, s.top, table);
    const k = least(table, s.top);
    return { scale: x, gamma: k, latency: table[k], all: table.slice(0, s.top + 1) };
  };
  const curve = scales.map(at).filter(Boolean);
  let turn = d3.least(curve, (p) => p.latency) ?? null;
  if (turn && turn.gamma) {
    const step = (high / low) ** (1 / (SIZES - 1));
    let a = turn.scale / step, b = Math.min(turn.scale * step, high);
    for (let i = 0; i < 30; i++) {
      const c = a ** (2 / 3) * b ** (1 / 3), d = a ** (1 / 3) * b ** (2 / 3);
      if ((at(c)?.latency ?? Infinity) <= (at(d)?.latency ?? Infinity)) b = d; else a = c;
    }
    const fine = at(Math.sqrt(a * b));
    if (fine && fine.latency <= turn.latency) turn = fine;
  }
  const pays = turn && turn.latency < 1;
  const flat = pays ? curve.filter((p) => p.latency <= turn.latency / (1 - TOLERANCE)) : [];
  const gain = pays ? curve.filter((p) => p.latency < 1) : [];
  return { curve, turn: pays ? turn : null, flat: d3.extent(flat, (p) => p.scale), gain: d3.extent(gain, (p) => p.scale),
    scaleBand: scaleBand(now, along, s, draws), scales: [low, high] };
}

function scaleBand(now, along, s, draws) {
  if (!draws.length) return null;
  const own = s.draft / s.target, low = Math.min(1e-3, own * 0.7), table = [];
  return d3.range(25).map((i) => {
    const scale = low * (Math.max(1, own) / low) ** (i / 24), p = along(scale, s.bits);
    if (!(p.alpha > 0 && p.alpha < 1)) return null;
    const found = draws.map((d) => {
      const odds = p.alpha / (1 - p.alpha) * (d.alpha / (1 - d.alpha)) / (now.alpha / (1 - now.alpha));
      latencies(odds / (1 + odds), d.decay, p.cost * (now.cost > 0 ? d.cost / now.cost : 1), d.verify, d.overhead, s.top, table);
      return [table[least(table, s.top)]];
    });
    return { scale, ends: quantiles(found, 0, data.level) };
  }).filter(Boolean);
}

/** The command line that gives the same answer. */
function command(found) {
  const s = found.now, words = ["howspec predict", `--alpha ${s.alpha}`];
  if (s.decay !== 1) words.push(`--decay ${s.decay}`);
  words.push(`--cost-ratio ${s.cost}`);
  if (s.verify) words.push(`--verify-slope ${s.verify}`);
  if (s.overhead) words.push(`--overhead ${s.overhead}`);
  return [...words, `--gamma-max ${s.top}`].join(" ");
}

// --- drawing ----------------------------------------------------------------------------------
const EDGE = { top: 8, right: 14, bottom: 42, left: 52 };
const charts = {};
for (const [name, height, xTitle, yTitle, layers] of [
  ["by-gamma", 300, "draft tokens per round, K", "latency / plain latency", ["window", "band", "even", "curve", "dots", "measured", "star"]],
  ["by-scale", 290, "draft parameters / target parameters", "latency / plain latency", ["window", "band", "even", "curve", "measured", "star", "you"]],
  ["surface", 290, "draft parameters / target parameters", "draft tokens per round, K", ["levels", "lines", "measured", "star", "you"]],
]) {
  const box = document.querySelector(`#${name} .plot`);
  const svg = d3.select(box).append("svg").attr("role", "img").attr("height", height).attr("xmlns", "http://www.w3.org/2000/svg");
  const chart = { name, box, svg, height, x: svg.append("g").attr("class", "axis"), y: svg.append("g").attr("class", "axis"),
    xTitle: svg.append("text").attr("class", "title").attr("text-anchor", "middle").text(xTitle),
    yTitle: svg.append("text").attr("class", "title").attr("text-anchor", "middle").text(yTitle) };
  const clipped = svg.append("clipPath").attr("id", `clip-${name}`).append("rect");
  for (const layer of layers) chart[layer] = svg.append("g").attr("clip-path", ["star", "you"].includes(layer) ? null : `url(#clip-${name})`);
  chart.clip = clipped;
  charts[name] = chart;
  for (const kind of ["CSV", "SVG"]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `Copy ${kind}`;
    button.setAttribute("aria-label", `Copy ${kind} of ${document.querySelector(`#${name} h2`).textContent}`);
    button.onclick = () => copy(kind === "CSV" ? csv(name, latest) : picture(chart), `${kind} copied`);
    document.querySelector(`#${name} .tools`).append(button);
  }
}
const STAR = d3.symbol(d3.symbolStar, 130)(), CIRCLE = d3.symbol(d3.symbolCircle, 70)(), DIAMOND = d3.symbol(d3.symbolDiamond, 64)(), CELL = d3.symbol(d3.symbolDiamond, 44)();

function frame(chart, x, y, xTicks, xFormat, yTicks) {
  const width = chart.width, bottom = chart.height - EDGE.bottom;
  chart.x.attr("transform", `translate(0,${bottom})`).call(d3.axisBottom(x).tickValues(xTicks).tickFormat(xFormat).tickSizeOuter(0));
  chart.y.attr("transform", `translate(${EDGE.left},0)`).call(d3.axisLeft(y).tickValues(yTicks).tickFormat((v) => `${short(v)}`).tickSizeOuter(0));
  chart.xTitle.attr("x", (EDGE.left + width - EDGE.right) / 2).attr("y", chart.height - 5);
  chart.yTitle.attr("transform", `translate(13,${(EDGE.top + bottom) / 2}) rotate(-90)`);
  const inset = chart.name === "surface" ? 1.5 : 0; // contours close along the edge
  chart.clip.attr("x", EDGE.left + inset).attr("y", EDGE.top + inset).attr("width", Math.max(width - EDGE.left - EDGE.right - 2 * inset, 0)).attr("height", bottom - EDGE.top - 2 * inset);
}

function one(layer, tag, name, attributes) {
  const found = layer.selectAll(`${tag}.${name}`).data(attributes ? [0] : []).join(tag).attr("class", name);
  if (attributes) for (const [key, value] of Object.entries(attributes)) found.attr(key, value);
}

function mark(layer, path, name, points, title) {
  layer.selectAll("path").data(points).join((enter) => { const p = enter.append("path"); p.append("title"); return p; })
    .attr("class", name).attr("d", path).attr("transform", (p) => `translate(${p[0]},${p[1]})`)
    .select("title").text(title ?? (() => ""));
}

function yRange(values) {
  const ends = d3.extent(values.filter((v) => Number.isFinite(v)));
  return [Math.max(0, Math.min(ends[0], 0.95) - 0.06), Math.min(Math.max(ends[1], 1.1), 2.2) + 0.04];
}

function drawGamma(found, beside) {
  const chart = charts["by-gamma"], { byGamma, band, window: flat, now } = found;
  const x = d3.scaleLinear([0, now.top], [EDGE.left + 6, chart.width - EDGE.right - 6]);
  const points = beside.points.filter(([k]) => k <= now.top);
  const y = d3.scaleLinear(yRange([...byGamma, ...points.map((p) => p[1]), ...(band ?? []).flat()]), [chart.height - EDGE.bottom, EDGE.top]);
  const every = Math.ceil((now.top + 1) / (chart.width < 420 ? 9 : 17));
  frame(chart, x, y, d3.range(0, now.top + 1, every), (v) => v, y.ticks(6));
  const half = (x(1) - x(0)) / 2.2;
  one(chart.window, "rect", "window", { x: x(flat[0]) - half, width: x(flat.at(-1)) - x(flat[0]) + 2 * half, y: EDGE.top, height: chart.height - EDGE.bottom - EDGE.top });
  one(chart.band, "path", "band", band && { d: d3.area((b, k) => x(k), (b) => y(b[0]), (b) => y(b[1]))(band) });
  one(chart.even, "line", "even", { x1: EDGE.left, x2: chart.width - EDGE.right, y1: y(1), y2: y(1) });
  one(chart.curve, "path", "curve", { d: d3.line((v, k) => x(k), (v) => y(v))(byGamma) });
  chart.dots.selectAll("circle").data(byGamma).join((enter) => { const c = enter.append("circle"); c.append("title"); return c; })
    .attr("class", "dot").attr("r", 3.2).attr("cx", (v, k) => x(k)).attr("cy", (v) => y(v))
    .select("title").text((v, k) => `K ${k}: latency ${v.toFixed(3)}, speed-up ${(1 / v).toFixed(3)}`);
  mark(chart.measured, DIAMOND, "measured", points.map((p) => [x(p[0]), y(p[1]), p]), (p) => `measured, K ${p[2][0]}: latency ${p[2][1].toFixed(3)}, speed-up ${(1 / p[2][1]).toFixed(3)}`);
  mark(chart.star, STAR, "star", [[x(found.gamma), clip(y(byGamma[found.gamma]), EDGE.top, chart.height)]], () => `turning point: K ${found.gamma}`);
  const to = flat.length > 1 ? `K ${flat[0]} to ${flat.at(-1)}` : `K ${flat[0]} alone`;
  const upTo = found.gamma === 0 ? "no K pays" : found.last === now.top ? `pays up to K ${found.last} and beyond` : `pays up to K ${found.last}`;
  legend(chart, [["★", "", `turning point <b>K ${found.gamma}</b>`], ["▮", "c-green", `within 1 %: <b>${to}</b>`], ["dash", "", `break-even: <b>${upTo}</b>`],
    band && ["▮", "c-blue", `${100 * data.level} % band`], points.length && ["◆", "c-orange", "measured"]]);
}

function scaleAxis(chart, found) {
  const pad = chart.name === "surface" ? 0 : 6;
  const x = d3.scaleLog(found.scales, [EDGE.left + pad, chart.width - EDGE.right - pad]);
  const tens = d3.range(Math.ceil(Math.log10(found.scales[0]) - 1e-9), Math.floor(Math.log10(found.scales[1]) + 1e-9) + 1);
  return [x, tens.map((t) => 10 ** t)];
}

function drawScale(found, beside) {
  const chart = charts["by-scale"], { curve, scaleBand: band, turn, now } = found;
  const [x, ticks] = scaleAxis(chart, found), own = now.draft / now.target;
  const ladder = beside.ladder.filter((p) => p.scale >= found.scales[0] && p.scale <= found.scales[1]);
  const y = d3.scaleLinear(yRange([...curve.map((p) => p.latency), ...ladder.map((p) => p.latency), ...(band ?? []).flatMap((b) => b.ends), 1 / found.speedup]), [chart.height - EDGE.bottom, EDGE.top]);
  frame(chart, x, y, ticks, (v) => (v >= 1 ? "1" : `1/${Math.round(1 / v)}`), y.ticks(6));
  one(chart.window, "rect", "window", turn && { x: x(found.flat[0]), width: Math.max(x(found.flat[1]) - x(found.flat[0]), 2), y: EDGE.top, height: chart.height - EDGE.bottom - EDGE.top });
  one(chart.band, "path", "band", band && { d: d3.area((b) => x(b.scale), (b) => y(b.ends[0]), (b) => y(b.ends[1]))(band) });
  one(chart.even, "line", "even", { x1: EDGE.left, x2: chart.width - EDGE.right, y1: y(1), y2: y(1) });
  one(chart.curve, "path", "curve", { d: d3.line((p) => x(p.scale), (p) => y(p.latency))(curve) ?? "" });
  mark(chart.measured, DIAMOND, "measured", ladder.map((p) => [x(p.scale), y(p.latency), p]), (p) => `measured, ${p[2].draft}: latency ${p[2].latency.toFixed(3)} at its best K`);
  mark(chart.you, CIRCLE, "you", [[x(own), y(1 / found.speedup)]], () => `your draft, ${share(own)} of the target`);
  mark(chart.star, STAR, "star", turn ? [[x(turn.scale), y(turn.latency)]] : [], () => "turning point");
  legend(chart, [["○", "c-blue", `your draft <b>${size(now.draft)}</b>, ${share(own)}`],
    turn ? ["★", "", `turning point <b>${share(turn.scale)}</b> (${size(turn.scale * now.target)}), K ${turn.gamma}, ${(1 / turn.latency).toFixed(2)}×`] : ["★", "", "no size pays"],
    turn && ["▮", "c-green", `within 1 %: <b>${share(found.flat[0])} to ${share(found.flat[1])}</b>`],
    turn && ["dash", "", `break-even: pays <b>${span(found.gain, found.scales)}</b>`], ladder.length && ["◆", "c-orange", "measured"]]);
}

function drawSurface(found, beside) {
  const chart = charts.surface, { curve, turn, now } = found;
  const [x, ticks] = scaleAxis(chart, found), top = now.top;
  const y = d3.scaleLinear([0.5, top + 0.5], [chart.height - EDGE.bottom, EDGE.top]);
  frame(chart, x, y, ticks, (v) => (v >= 1 ? "1" : `1/${Math.round(1 / v)}`), d3.range(1, top + 1, Math.ceil(top / 8)));
  const columns = curve.filter((p, i) => i % 2 === 0), wide = columns.length;
  const values = new Float64Array(Math.max(wide, 0) * top);
  columns.forEach((p, i) => { for (let k = 1; k <= top; k++) values[(k - 1) * wide + i] = p.all[k]; });
  const ends = wide ? d3.extent(values) : [1, 1];
  const high = Math.min(ends[1], Math.max(1.8, ends[0] * 2));
  const steps = d3.ticks(ends[0], high, 9).filter((v) => v > ends[0]);
  const levels = [ends[0] - 1e-9, ...steps];
  const colour = (i) => d3.interpolateCividis(1 - i / Math.max(levels.length - 1, 1));
  const contours = d3.contours().size([wide, top]);
  // Grid indices to the plane: the middle of a cell is at i + 0.5.
  const first = columns[0]?.scale, ratio = wide > 1 ? columns[1].scale / first : 1;
  const path = d3.geoPath(d3.geoTransform({ point(i, j) { this.stream.point(x(first * ratio ** (i - 0.5)), y(j + 0.5)); } }));
  chart.levels.selectAll("path").data(wide > 1 ? levels : []).join("path").attr("class", "level")
    .attr("d", (v) => path(contours.contour(values, v))).attr("fill", (v, i) => colour(i));
  const line = (v) => (wide > 1 && v > ends[0] && v < ends[1] ? { d: path(contours.contour(values, v)) } : null);
  one(chart.lines, "path", "break", line(1));
  one(chart.lines, "path", "flat", turn && line(turn.latency / (1 - TOLERANCE)));
  const ridge = curve.map((p) => [p.scale, 1 + d3.minIndex(p.all.slice(1))]);
  one(chart.lines, "path", "ridge", { d: d3.line((p) => x(p[0]), (p) => y(p[1])).curve(d3.curveStepBefore)(ridge) ?? "" });
  // A measured point has the colour of its latency: where it fades into the surface, they agree.
  const points = beside.cells.filter((p) => p.gamma >= 1 && p.gamma <= top && p.scale >= found.scales[0] && p.scale <= found.scales[1]);
  mark(chart.measured, CELL, "cell", points.map((p) => [x(p.scale), y(p.gamma), p]), (p) => `measured, ${p[2].draft}, K ${p[2].gamma}: latency ${p[2].latency.toFixed(3)}`);
  chart.measured.selectAll("path").attr("fill", (p) => colour(d3.bisectRight(levels, p[2].latency) - 1));
  mark(chart.star, STAR, "star", turn ? [[x(turn.scale), y(turn.gamma)]] : [], () => "turning point");
  mark(chart.you, CIRCLE, "you", [[x(now.draft / now.target), y(Math.max(found.gamma, 0.5))]], () => "your draft at its best K");
  const strip = levels.map((v, i) => `<i style="background:${colour(i)}"></i>`).join("");
  legend(chart, [["", "", `latency <b>${ends[0].toFixed(2)}</b><span class="steps" aria-hidden="true">${strip}</span><b>${high.toFixed(2)}</b>`], ["line", "", "break-even"],
    ["dots", "", "within 1 %"], ["dash", "", "best K of each size"], ["★", "", "turning point"], ["○", "c-blue", "your draft"],
    points.length && ["◇", "c-orange", "measured, in the colour of its latency"]]);
}

function legend(chart, entries) {
  // Only numbers and fixed words come here; names are set as text.
  document.querySelector(`#${chart.name} .legend`).innerHTML = entries.filter(Boolean)
    .map(([sign, colour, text]) => `<span class="entry">${markOf(sign, colour)}${text}</span>`).join(" ");
}

function markOf(sign, colour) {
  if (!sign) return "";
  return STROKES.includes(sign) ? `<span class="stroke ${sign}" aria-hidden="true"></span> `
    : `<span class="mark ${colour}" aria-hidden="true">${sign}</span> `;
}
const STROKES = ["dash", "dots", "line"];

/** Where drafting pays, of the sizes that are drawn. */
function span([low, high], [first, last]) {
  if (low <= first * 1.001) return high >= last / 1.001 ? "at every size" : `up to ${share(high)}`;
  return high >= last / 1.001 ? `from ${share(low)} on` : `from ${share(low)} to ${share(high)}`;
}

// --- what was measured ------------------------------------------------------------------------
function besides() {
  const sweep = data.measured.find((m) => m.id === state.measured);
  if (!sweep) return { sweep: null, points: [], ladder: [], cells: [] };
  const points = sweep.gamma.map((k, i) => [k, 1 / sweep.speedup[i]]);
  const ladder = data.measured.filter((m) => m.scale && m.source === sweep.source && m.target === sweep.target && m.workload === sweep.workload)
    .map((m) => ({ ...m, latency: 1 / Math.max(...m.speedup) }));
  const cells = ladder.flatMap((m) => m.gamma.map((k, i) => ({ scale: m.scale, gamma: k, latency: 1 / m.speedup[i], draft: m.draft })));
  return { sweep, points, ladder, cells };
}

for (const source of new Set(data.measured.map((m) => m.source))) {
  const group = document.createElement("optgroup");
  group.label = source;
  for (const m of data.measured.filter((m) => m.source === source)) {
    group.append(new Option(`${m.target} + ${m.draft}${m.workload ? ` (${m.workload})` : ""}`, m.id));
  }
  $("measured").append(group);
}
$("measured").onchange = () => { state.measured = $("measured").value; changed(); };
$("fit").onclick = () => {
  const { sweep } = besides();
  Object.assign(state, sweep.fit, sweep.targetSize ? { target: sweep.targetSize, draft: sweep.draftSize } : {});
  state.top = Math.max(state.top, Math.max(...sweep.gamma));
  anchor();
  changed();
};

// --- sliders ----------------------------------------------------------------------------------
function anchor() {
  Object.assign(state, { anchorDraft: state.draft, anchorTarget: state.target, anchorBits: state.bits });
}

/** Set one quantity. A size or the bits move along the ladder; anything else is set as it is. */
function set(key, value) {
  messages = [];
  if (key === "alpha" || key === "cost") {
    const now = ladderOf(state)(state.draft / state.target, state.bits);
    Object.assign(state, { alpha: Math.max(short(now.alpha, 6), 0), cost: short(now.cost, 6) });
    anchor();
  }
  state[key] = value;
  changed();
}

const inputs = {};
for (const [place, some] of [["sliders", SLIDERS], ["ladder", LADDER]]) {
  for (const q of some) {
    q.low = Math.min(q.low, start[q.key]);
    q.high = Math.max(q.high, start[q.key]);
    const to = q.log ? Math.log10 : (v) => v, from = q.log ? (v) => 10 ** v : (v) => v;
    const box = document.createElement("div");
    box.className = "slider";
    box.innerHTML = `<div class="row"><label for="r-${q.key}"></label><span class="field"><input type="number" id="n-${q.key}" step="any"> ${q.unit ?? ""}</span></div><input type="range" id="r-${q.key}"><p class="hint"></p>`;
    const [number, range] = box.querySelectorAll("input");
    box.querySelector("label").textContent = q.label;
    box.querySelector(".hint").textContent = q.hint;
    number.setAttribute("aria-label", `${q.label}, as a number`);
    Object.assign(range, { min: to(q.low), max: to(q.high), step: q.step ?? (to(q.high) - to(q.low)) / 1000 });
    range.oninput = () => set(q.key, q.step ? Number(range.value) : short(clip(from(Number(range.value)), q.low, q.high), 4));
    number.onchange = () => {
      const value = Number(number.value) * (q.in ?? 1);
      messages = [];
      if (number.value.trim() === "" || !within(q, value)) say(`${q.label} must be in [${short(q.low / (q.in ?? 1))}, ${short(q.high / (q.in ?? 1))}], got ${number.value || "nothing"}`);
      else set(q.key, value);
      draw();
    };
    inputs[q.key] = { q, number, range, to };
    $(place).append(box);
  }
}
const within = (q, value) => value >= q.low && value <= q.high && (q.key !== "top" || Number.isInteger(value));

function showInputs(found) {
  for (const { q, number, range, to } of Object.values(inputs)) {
    const value = found.now[q.key];
    if (document.activeElement !== number) number.value = short(value / (q.in ?? 1), 5);
    range.value = to(value);
    range.setAttribute("aria-valuetext", `${short(value / (q.in ?? 1), 4)}${q.unit ? ` ${q.unit}` : ""}`);
  }
}

// --- the state in the link ---------------------------------------------------------------------
const KEYS = [...ALL.map((q) => q.key), "anchorDraft", "anchorTarget", "anchorBits"];
function link() {
  const given = new URLSearchParams();
  for (const key of KEYS) if (state[key] !== start[key]) given.set(key, state[key]);
  if (state.measured !== start.measured) given.set("measured", state.measured);
  return given.toString();
}

function follow() {
  const given = new URLSearchParams(location.hash.slice(1));
  state = { ...start };
  messages = [];
  for (const [key, text] of given) {
    const q = ALL.find((one) => one.key === key), value = Number(text);
    if (key === "measured") { if (text === "" || data.measured.some((m) => m.id === text)) state.measured = text; }
    else if (!KEYS.includes(key)) say(`the link holds something unknown, ${key.slice(0, 20)}`);
    else if (text.trim() === "" || !(q ? within(q, value) : value > 0 && value < 1e15)) say(`the link has a ${key} that cannot be, ${text.slice(0, 20)}: left as it was`);
    else state[key] = value;
  }
  draw();
}

let waiting = 0, kept = 0, latest = null;
function changed() {
  if (!waiting) waiting = requestAnimationFrame(() => { waiting = 0; draw(); });
  clearTimeout(kept); // browsers allow a few changes of the link a second
  kept = setTimeout(() => history.replaceState(null, "", `#${link()}`), 250);
}
const say = (text) => { messages.push(text); }; // stays until something is set

// --- copying ------------------------------------------------------------------------------------
function csv(name, found) {
  const rows = {
    "by-gamma": () => [["gamma", "latency", "speedup", ...(found.band ? ["latency_low", "latency_high"] : [])],
      ...found.byGamma.map((v, k) => [k, v, 1 / v, ...(found.band ? found.band[k] : [])])],
    "by-scale": () => [["scale", "best_gamma", "latency", "speedup"], ...found.curve.map((p) => [p.scale, p.gamma, p.latency, 1 / p.latency])],
    surface: () => [["scale", "gamma", "latency"], ...found.curve.flatMap((p) => p.all.slice(1).map((v, i) => [p.scale, i + 1, v]))],
  }[name]();
  return rows.map((r) => r.join(",")).join("\n") + "\n";
}

const LOOKS = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "font-size", "font-family", "text-anchor"];
function picture(chart) {
  const original = chart.svg.node(), clone = original.cloneNode(true);
  const from = [original, ...original.querySelectorAll("*")], to = [clone, ...clone.querySelectorAll("*")];
  from.forEach((element, i) => {
    const look = getComputedStyle(element);
    to[i].setAttribute("style", LOOKS.map((name) => `${name}:${look.getPropertyValue(name)}`).join(";"));
  });
  clone.setAttribute("width", chart.width);
  return new XMLSerializer().serializeToString(clone);
}

async function copy(text, done) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  window.howspec.copied = text;
  $("copied").textContent = done;
  setTimeout(() => { $("copied").textContent = ""; }, 2500);
}

// --- all of it ----------------------------------------------------------------------------------
function sentences(found) {
  const { now, gamma, speedup, window: flat } = found;
  if (gamma === 0) {
    const closest = 1 + d3.minIndex(found.byGamma.slice(1));
    return [`Do not draft: no K up to ${now.top} beats plain decoding.`, `Closest: ${(1 / found.byGamma[closest]).toFixed(3)}× at K ${closest}. `];
  }
  const aside = [flat.length > 1 ? `K ${flat[0]} to ${flat.at(-1)} are within 1 %` : "a clear optimum"];
  if (found.band) aside.push(`${100 * data.level} % interval ${(1 / found.band[gamma][1]).toFixed(2)} to ${(1 / found.band[gamma][0]).toFixed(2)}`);
  return [`Draft ${gamma} token${gamma > 1 ? "s" : ""} a round: ${speedup.toFixed(2)} times as fast as plain decoding.`, `${capital(aside.join("; "))}. `];
}

function draw() {
  const begin = performance.now(), found = answer(state), beside = besides();
  latest = found;
  const [sentence, aside] = sentences(found);
  const even = found.even === null ? "At these costs no acceptance makes any K pay." : `Drafting pays where alpha is above ${found.even.toFixed(3)}.`;
  const odd = found.valid ? messages : ["On this ladder a draft so small has no acceptance left.", ...messages];
  $("sentence").textContent = sentence;
  $("aside").textContent = [aside + even, ...odd].join(" ");
  showInputs(found);
  drawGamma(found, beside);
  drawScale(found, beside);
  drawSurface(found, beside);
  $("command").textContent = command(found);
  $("measured").value = beside.sweep ? beside.sweep.id : "";
  $("fit").hidden = !beside.sweep?.fit;
  $("source").textContent = beside.sweep?.citation ?? "";
  for (const chart of Object.values(charts)) chart.svg.attr("aria-label", document.querySelector(`#${chart.name} .legend`).textContent);
  window.howspec.drawn = performance.now() - begin; // how long a frame takes [ms]
}

function resize() {
  for (const chart of Object.values(charts)) {
    chart.width = Math.max(chart.box.clientWidth, 200);
    chart.svg.attr("viewBox", `0 0 ${chart.width} ${chart.height}`);
  }
  draw();
}

for (const [title, lines] of data.about) {
  const heading = document.createElement("h2"), list = document.createElement("ul");
  heading.textContent = title;
  for (const line of lines) list.append(Object.assign(document.createElement("li"), { textContent: line }));
  $("about").append(heading, list);
}
$("reset").onclick = () => { state = { ...start }; messages = []; changed(); };
$("controls").onsubmit = (event) => event.preventDefault();
$("copy-command").onclick = () => copy($("command").textContent, "command copied");
$("copy-link").onclick = () => copy(`${location.href.split("#")[0]}#${link()}`, "link copied");
addEventListener("hashchange", follow);
for (const chart of Object.values(charts)) chart.width = Math.max(chart.box.clientWidth, 200);
window.howspec = { answer: () => answer(state), state: () => ({ ...state }), formulas, latencies, copied: "" };
follow();
new ResizeObserver(resize).observe($("charts"));
resize();
window.howspec.ready = performance.now();
