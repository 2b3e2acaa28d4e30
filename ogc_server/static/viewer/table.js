// The table beside the map: features of one layer in view, a page at a time.
import { ask, element, layerOf, number, part, say, t } from "./setup.js";

const SIZE = 25;
const text = (value) => (value === null || value === undefined ? "—" : typeof value === "number" ? number(value, 4) : String(value));

export const startTable = (map, layers, selection) => {
  const choice = document.getElementById("table-layer");
  const holder = document.getElementById("table-body");
  const count = document.getElementById("table-count");
  let offset = 0;
  let asking = null;
  let order = ""; // a column, with a minus: from the last to the first

  const fit = async (id) => {
    const collection = choice.value;
    const feature = await ask(`/collections/${part(collection)}/items/${part(id)}`, { f: "json" });
    selection.set([{ ...feature, collection }]);
    const box = bounds(feature.geometry);
    if (box) map.fitBounds(box, { padding: 60, maxZoom: 14 });
  };
  const sortBy = async (name) => {
    order = order === name ? `-${name}` : name;
    offset = 0;
    await refresh();
    [...holder.querySelectorAll("thead button")].find((one) => one.textContent === name)?.focus();
  };
  const heading = (name) => {
    const sorted = { [name]: "ascending", [`-${name}`]: "descending" }[order];
    return element("th", { scope: "col", "aria-sort": sorted }, element("button", { type: "button", class: "sort", title: t("table.sort", { column: name }), onclick: () => sortBy(name) }, name));
  };
  const mark = () => {
    for (const row of holder.querySelectorAll("tbody tr")) {
      const chosen = selection.has(choice.value, row.dataset.id);
      if (chosen) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  };
  selection.changed(mark);
  const draw = (found) => {
    const same = (name) => found.features.every((feature) => String(feature.properties[name]) === String(feature.id)); // the id stands first anyway
    const names = Object.keys(found.features[0]?.properties ?? {}).filter((name) => !same(name)).slice(0, 12);
    const head = element("tr", {}, element("th", { scope: "col" }, "id"), ...names.map(heading));
    const rows = found.features.map((feature) => element("tr", { "data-id": feature.id },
      element("th", { scope: "row" }, element("button", { type: "button", class: "link", "aria-label": t("table.show", { id: feature.id }), onclick: () => fit(feature.id).catch((error) => say(error.message)) }, String(feature.id))),
      ...names.map((name) => element("td", {}, text(feature.properties[name])))));
    holder.replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
    mark();
    const last = offset + found.features.length;
    count.textContent = found.numberMatched ? t("table.count", { first: offset + 1, last, all: number(found.numberMatched, 0) }) : t("table.none");
    document.getElementById("table-back").disabled = offset === 0;
    document.getElementById("table-next").disabled = last >= found.numberMatched;
  };
  const refresh = async () => {
    if (document.getElementById("panel-table").hidden || !choice.value) return;
    asking?.abort();
    asking = new AbortController();
    const view = map.getBounds();
    const clamp = (value, low, high) => Math.min(Math.max(value, low), high).toFixed(6);
    const bbox = [clamp(view.getWest(), -180, 180), clamp(view.getSouth(), -90, 90), clamp(view.getEast(), -180, 180), clamp(view.getNorth(), -90, 90)].join(",");
    try {
      const geometry = layerOf(choice.value).kind === "table" ? {} : { bbox };
      draw(await ask(`/collections/${part(choice.value)}/items`, { f: "json", limit: SIZE, offset, skipGeometry: "true", sortby: order, ...geometry }, { signal: asking.signal }));
    } catch (error) { if (error.name !== "AbortError") say(error.message); }
  };
  const again = () => { offset = 0; refresh(); };
  choice.addEventListener("change", () => { order = ""; again(); });
  map.on("moveend", again);
  document.getElementById("table-back").addEventListener("click", () => { offset = Math.max(0, offset - SIZE); refresh(); });
  document.getElementById("table-next").addEventListener("click", () => { offset += SIZE; refresh(); });
  const choices = () => {
    const kept = choice.value;
    const fitting = layers.shown.filter((one) => layerOf(one.id).kind !== "raster");
    choice.replaceChildren(...fitting.map((one) => element("option", { value: one.id }, layerOf(one.id).title)));
    if (fitting.some((one) => one.id === kept)) choice.value = kept;
    if (choice.value !== kept) { order = ""; again(); }
  };
  return { refresh: again, choices };
};

export const bounds = (geometry) => {
  if (!geometry) return null;
  const box = [[Infinity, Infinity], [-Infinity, -Infinity]];
  const visit = (one) => {
    if (typeof one[0] === "number") {
      box[0] = [Math.min(box[0][0], one[0]), Math.min(box[0][1], one[1])];
      box[1] = [Math.max(box[1][0], one[0]), Math.max(box[1][1], one[1])];
    } else one.forEach(visit);
  };
  (geometry.geometries ?? [geometry]).forEach((one) => visit(one.coordinates));
  return Number.isFinite(box[0][0]) ? box : null;
};
