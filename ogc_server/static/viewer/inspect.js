// What is at a place: attributes of features that are drawn there, and values of rasters.
import { address, ask, element, layerOf, number, part, t } from "./setup.js";

const attributes = (properties) => element("dl", {}, ...Object.entries(properties).flatMap(([name, value]) => [
  element("dt", {}, name), element("dd", {}, value === null || value === undefined ? "—" : String(value))]));

const rasterCard = async (known, { lng, lat }) => {
  const answer = await ask(`/collections/${part(known.id)}/position`, { coords: `POINT(${lng.toFixed(6)} ${lat.toFixed(6)})`, f: "covjson" });
  const rows = Object.values(answer.ranges ?? {}).map((range) => range.values[0]);
  const text = rows.map((value) => (value === null ? t("inspect.nodata") : number(value, 4))).join(", ");
  return { card: element("article", {}, element("h2", {}, known.title), element("p", { class: "value" }, text)) };
};

const featureCard = async (known, fid, drawn) => {
  let properties = drawn;
  let feature = null;
  try {
    feature = { ...(await ask(`/collections/${part(known.id)}/items/${part(fid)}`, { f: "json" })), collection: known.id };
    properties = feature.properties;
  } catch { /* what the tile holds is shown then */ }
  const page = address(`/collections/${part(known.id)}/items/${part(fid)}`, { f: "html", lang: document.documentElement.lang });
  return { feature, card: element("article", { "data-feature": fid }, element("h2", {}, known.title), attributes(properties ?? {}), element("p", {}, element("a", { href: page }, t("inspect.page")))) };
};

export const startInspect = (map, layers, selection, openPanel) => {
  const holder = document.getElementById("info-body");
  let marker = null;
  let turn = 0;
  const inspect = async (point, lngLat) => {
    const near = matchMedia("(pointer: coarse)").matches ? 14 : 5; // points and lines are hard to hit
    const box = [[point.x - near, point.y - near], [point.x + near, point.y + near]];
    const at = (names) => {
      const areas = names.filter((name) => map.getLayer(name).type === "fill"); // one is in an area or not
      return areas.length ? map.queryRenderedFeatures(point, { layers: areas }) : map.queryRenderedFeatures(box, { layers: names });
    };
    const cards = [];
    for (const one of layers.shown.filter((shown) => shown.visible)) {
      const known = layerOf(one.id);
      if (known.kind === "raster") { cards.push(rasterCard(known, lngLat).catch((error) => ({ card: element("p", {}, `${known.title}: ${error.message}`) }))); continue; }
      const names = layers.ids(one.id).filter((name) => map.getLayer(name));
      const seen = new Map(at(names).map((feature) => [feature.properties.fid, feature]));
      const owner = known.kind === "table" ? layerOf(Object.keys(one.style.sources)[0]) ?? known : known;
      for (const [fid, feature] of [...seen].slice(0, 5)) if (fid !== undefined) cards.push(featureCard(owner, fid, feature.properties));
    }
    marker?.remove();
    marker = new maplibregl.Marker({ color: "#b3191f" }).setLngLat(lngLat).addTo(map);
    const pin = marker.getElement();
    pin.setAttribute("role", "img");
    pin.setAttribute("aria-label", t("inspect.marker"));
    const mine = turn += 1;
    const found = await Promise.all(cards);
    if (mine !== turn) return; // another place was asked for meanwhile
    const place = element("p", { class: "coordinates" }, `${number(lngLat.lat, 5)}, ${number(lngLat.lng, 5)}`);
    holder.replaceChildren(place, ...(found.length ? found.map((one) => one.card) : [element("p", {}, t("inspect.nothing"))]));
    selection.set(found.map((one) => one.feature).filter(Boolean));
    openPanel("info");
  };
  map.on("click", (event) => { if (!map.measuring) inspect(event.point, event.lngLat); });
  const centre = () => { const lngLat = map.getCenter(); inspect(map.project(lngLat), lngLat); };
  map.getCanvas().addEventListener("keydown", (event) => { if (event.key === "Enter" && !map.measuring) centre(); });
  document.getElementById("inspect-centre").addEventListener("click", centre);
};
