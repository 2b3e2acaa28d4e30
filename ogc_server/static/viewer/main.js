// The map viewer: puts the parts together.
import { config, element, layerOf, loadLayers, say, t } from "./setup.js";
import { baseDrawn, baseStyle, keepOverview, showOnline } from "./basemap.js";
import * as permalink from "./permalink.js";

const FONT = "Satu Data Regular"; // layers/style/maplibre.py
const given = permalink.read();
const { view, place, done, fitted } = window.first; // first.js, in the page
const map = new maplibregl.Map({
  container: "map",
  style: baseStyle(window.first.view.zoom),
  ...view,
  renderWorldCopies: false,
  attributionControl: false,
  fadeDuration: 0, // all names at once: fading they come over many frames, seconds on a slow machine
  locale: {
    "NavigationControl.ZoomIn": t("map.zoom-in"), "NavigationControl.ZoomOut": t("map.zoom-out"),
    "NavigationControl.ResetBearing": t("map.north"), "Map.Title": t("map.title"),
  },
});
// The tools are asked for once the map is drawn, so that they do not delay it; or when that takes long.
let mapComplete;
const tools = Promise.race([new Promise((done) => { mapComplete = done; }), new Promise((done) => { setTimeout(done, 3000); })]);
const TOOLS = ["layers", "tree", "search", "inspect", "table", "measure", "time", "compare", "print", "select"];
const dressed = tools.then(() => new Promise((done) => { // MapLibre's own styles: for its buttons, not for the map
  document.head.append(element("link", { rel: "stylesheet", href: `${config.base}/static/maplibre-gl.css`, onload: done, onerror: done }));
}));
const arrived = tools.then(() => Promise.all([loadLayers(), ...TOOLS.map((name) => import(`./${name}.js`))]));
arrived.catch((error) => say(error.message));

// The first picture goes when the map has drawn the same.
map.on("move", () => { const { lng, lat } = map.getCenter(); place({ zoom: map.getZoom(), center: [lng, lat] }); });
const drawn = () => {
  if (!baseDrawn(map)) return;
  map.off("render", drawn);
  done();
  performance.mark("map-complete");
  mapComplete();
  fetch(`${config.base}/fonts/${encodeURIComponent(FONT)}/0-255.pbf`, { priority: "low" }).catch(() => {}); // names follow soon
  if (!performance.getEntriesByName("map-first-paint").length) performance.mark("map-first-paint");
};
map.on("render", drawn);
keepOverview(map);
dressed.then(() => {
  map.addControl(new maplibregl.NavigationControl(), "top-right");
  map.addControl(new maplibregl.ScaleControl({ unit: "metric" }), "bottom-right");
  map.addControl(new maplibregl.AttributionControl({ compact: true }), "bottom-right");
});
map.getCanvas().setAttribute("aria-label", t("map.keys"));

const TABS = ["layers", "info", "table", "tools"];
let panel = "layers";
let table = null;
const openPanel = (name) => {
  panel = name;
  for (const one of TABS) {
    document.getElementById(`panel-${one}`).hidden = one !== name;
    const tab = document.getElementById(`tab-${one}`);
    tab.setAttribute("aria-selected", String(one === name));
    tab.tabIndex = one === name ? 0 : -1;
  }
  document.getElementById("side").dataset.open = "true";
  document.getElementById("toggle-side").setAttribute("aria-expanded", "true");
  if (name === "table") table?.refresh();
};
for (const one of TABS) {
  const tab = document.getElementById(`tab-${one}`);
  tab.addEventListener("click", () => openPanel(one));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = TABS[(TABS.indexOf(one) + step + TABS.length) % TABS.length];
    openPanel(next);
    document.getElementById(`tab-${next}`).focus();
  });
}
document.getElementById("toggle-side").addEventListener("click", () => {
  const side = document.getElementById("side");
  const open = side.dataset.open !== "true";
  side.dataset.open = String(open);
  document.getElementById("toggle-side").setAttribute("aria-expanded", String(open));
  setTimeout(() => map.resize(), 50);
});

map.on("load", async () => {
  await dressed;
  const [, { Layers }, { drawCatalogue, drawShown }, { startSearch }, { startInspect }, { startTable }, { startMeasure }, { startTime }, { startCompare }, { startPrint }, { startSelection }] = await arrived;
  const parts = {};
  let restored = false; // the address is kept until all that it says is shown
  const save = () => restored && permalink.write(map, layers, { time: parts.time?.value ?? "", compare: parts.compare?.value ?? "", panel: panel === "layers" ? "" : panel });
  const layers = new Layers(map, () => {
    drawShown(layers);
    parts.time?.changed();
    parts.compare?.choices();
    table?.choices();
    save();
  });
  const selection = startSelection(map);
  drawCatalogue(layers);
  startSearch(map);
  startInspect(map, layers, selection, openPanel);
  startMeasure(map);
  startPrint(map, layers);
  table = startTable(map, layers, selection);
  parts.time = startTime(layers);
  parts.compare = startCompare(map, layers);
  const online = document.getElementById("online");
  online?.addEventListener("change", () => showOnline(map, online.checked));
  for (const one of [...(given.layers ?? config.basemap.slice(0, 1).map((id) => ({ id, opacity: 0.25 })))].reverse()) await layers.add(one.id, { ...one, onTop: true });
  drawShown(layers);
  const whole = given.map ? null : layerOf(given.layers?.[0]?.id)?.bbox;
  if (whole) map.jumpTo(fitted(whole)); // a link to a layer without a place
  if (given.time) parts.time.value = given.time;
  if (given.compare) parts.compare.value = given.compare;
  if (given.panel && TABS.includes(given.panel)) openPanel(given.panel);
  else if (window.innerWidth > 720) openPanel("layers");
  restored = true;
  save();
  map.on("moveend", save);
  for (const id of ["time-at", "time-days", "compare-layer"]) document.getElementById(id).addEventListener("change", save);
  for (const one of TABS) document.getElementById(`tab-${one}`).addEventListener("click", save);
  document.getElementById("copy-link").addEventListener("click", async () => {
    save();
    try { await navigator.clipboard.writeText(location.href); say(t("link.copied")); } catch { say(location.href); }
  });
  const sources = document.querySelector(".maplibregl-ctrl-attrib");
  if (window.innerWidth <= 720) map.once("idle", () => sources?.classList.remove("maplibregl-compact-show")); // behind its (i)
  map.once("idle", () => { document.getElementById("map").dataset.ready = "true"; });
  map.triggerRepaint(); // it may be idle already
  window.viewer = { map, layers };
});
