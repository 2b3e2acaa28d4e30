// Compare by a swipe: the right of the line shows one layer alone over the basemap.
import { element, layerOf, t } from "./setup.js";
import { baseStyle, keepOverview } from "./basemap.js";
import { Layers } from "./layers.js";

export const startCompare = (map, layers) => {
  const choice = document.getElementById("compare-layer");
  const holder = document.getElementById("compare-map");
  const handle = document.getElementById("compare-at");
  let other = null;
  let held = null;

  const clip = () => {
    holder.style.clipPath = `inset(0 0 0 ${handle.value}%)`;
    document.getElementById("compare-line").style.left = `${handle.value}%`;
  };
  const follow = () => other?.jumpTo({ center: map.getCenter(), zoom: map.getZoom(), bearing: map.getBearing(), pitch: map.getPitch() });
  const stop = () => {
    map.off("move", follow);
    other?.remove();
    other = null;
    delete holder.dataset.ready;
    for (const id of ["compare-map", "compare-at", "compare-line"]) document.getElementById(id).hidden = true;
  };
  const start = async (id) => {
    stop();
    for (const name of ["compare-map", "compare-at", "compare-line"]) document.getElementById(name).hidden = false;
    other = new maplibregl.Map({ container: holder, style: baseStyle(map.getZoom()), center: map.getCenter(), zoom: map.getZoom(), interactive: false, attributionControl: false, renderWorldCopies: false });
    keepOverview(other);
    await new Promise((done) => other.once("load", done));
    held = new Layers(other, () => {});
    await held.add(id, { column: layers.get(id)?.column ?? null });
    map.on("move", follow);
    follow();
    clip();
    const mine = other;
    mine.once("idle", () => { if (other === mine) holder.dataset.ready = id; });
    mine.triggerRepaint(); // it may be idle already
  };
  handle.addEventListener("input", clip);
  choice.addEventListener("change", () => (choice.value ? start(choice.value) : stop()));
  return {
    choices() {
      const kept = choice.value;
      choice.replaceChildren(element("option", { value: "" }, t("compare.none")), ...layers.shown.map((one) => element("option", { value: one.id }, layerOf(one.id).title)));
      choice.value = layers.get(kept) ? kept : "";
      if (kept && !choice.value) stop();
    },
    get value() { return choice.value; },
    set value(id) { if (layers.get(id)) { choice.value = id; start(id); } },
  };
};
