// The map: our own boundaries in the dark, and six sources that stay and only change what they hold.
import { config, number, t } from "../viewer/setup.js";

const NOTHING = { type: "FeatureCollection", features: [] };
const SOURCES = ["peringatan", "desa", "rencana", "fasilitas", "gempa", "pusat", "gambar"];

const graticule = () => {
  const lines = [];
  for (let lon = 90; lon <= 145; lon += 1) lines.push([[lon, -15], [lon, 10]]);
  for (let lat = -15; lat <= 10; lat += 1) lines.push([[90, lat], [145, lat]]);
  return { type: "Feature", properties: {}, geometry: { type: "MultiLineString", coordinates: lines } };
};

// A basemap of its own, of nothing but tiles: the viewer's has its first picture in its own page.
const darkStyle = () => {
  const style = {
    version: 8, glyphs: `${config.base}/fonts/{fontstack}/{range}.pbf`, sources: { graticule: { type: "geojson", data: graticule() } },
    layers: [
      { id: "sea", type: "background", paint: { "background-color": "#0c1620" } },
      { id: "graticule", type: "line", source: "graticule", paint: { "line-color": "#1b2a38", "line-width": 0.6 } },
    ],
  };
  for (const id of config.basemap) {
    const part = { source: `base:${id}`, "source-layer": id };
    style.sources[part.source] = { type: "vector", tiles: [config.tiles[id]], maxzoom: 12 };
    style.layers.push(
      { id: `${part.source}:fill`, type: "fill", ...part, paint: { "fill-color": "#1e2d3b" } },
      { id: `${part.source}:line`, type: "line", ...part, paint: { "line-color": "#3d5266", "line-width": ["interpolate", ["linear"], ["zoom"], 5, 0.15, 12, 0.7] } },
    );
  }
  for (const name of SOURCES) style.sources[name] = { type: "geojson", data: NOTHING };
  const areas = ["==", ["geometry-type"], "Polygon"];
  const points = ["==", ["geometry-type"], "Point"];
  style.layers.push(
    { id: "peringatan:isi", type: "fill", source: "peringatan", paint: { "fill-color": ["get", "warna"], "fill-opacity": 0.25 } },
    { id: "peringatan:garis", type: "line", source: "peringatan", paint: { "line-color": ["get", "warna"], "line-width": 1.5 } },
    { id: "desa:isi", type: "fill", source: "desa", filter: areas, paint: { "fill-color": ["get", "warna"], "fill-opacity": 0.75 } },
    { id: "desa:garis", type: "line", source: "desa", filter: areas, paint: { "line-color": "#0c1620", "line-width": 0.6 } },
    { id: "desa:titik", type: "circle", source: "desa", filter: points, paint: { "circle-color": ["get", "warna"], "circle-radius": 2.5 } },
    { id: "gambar:isi", type: "fill", source: "gambar", filter: areas, paint: { "fill-color": "#4fc3f7", "fill-opacity": 0.12 } },
    { id: "gambar:garis", type: "line", source: "gambar", paint: { "line-color": "#4fc3f7", "line-width": 2, "line-dasharray": [2, 1] } },
    { id: "gambar:titik", type: "circle", source: "gambar", filter: points, paint: { "circle-color": "#4fc3f7", "circle-radius": 5 } },
    { id: "rencana:tepi", type: "line", source: "rencana", paint: { "line-color": "#04121c", "line-width": 2.4, "line-opacity": 0.35 } },
    { id: "rencana", type: "line", source: "rencana", paint: { "line-color": "#4fc3f7", "line-width": 1, "line-opacity": 0.8 } },
    { id: "fasilitas", type: "circle", source: "fasilitas", paint: { "circle-color": ["case", ["get", "ada"], "#43d17c", "#8a94a0"], "circle-radius": 6, "circle-stroke-color": "#04121c", "circle-stroke-width": 1.5 } },
    { id: "gempa", type: "circle", source: "gempa", paint: { "circle-color": "#ff5a4f", "circle-opacity": 0.35, "circle-stroke-color": "#ff8a80", "circle-stroke-width": 1.2, "circle-radius": ["interpolate", ["exponential", 1.6], ["get", "magnitudo"], 3, 3, 6, 11, 9, 40] } },
    { id: "pusat:garis", type: "line", source: "pusat", filter: areas, paint: { "line-color": "#4fc3f7", "line-width": 2.5 } },
    { id: "pusat", type: "circle", source: "pusat", filter: points, paint: { "circle-color": "#ff2d20", "circle-opacity": 0.25, "circle-radius": 13, "circle-stroke-color": "#ff2d20", "circle-stroke-width": 3 } },
  );
  return style;
};

export const startMap = () => {
  const [west, south, east, north] = config.bounds;
  const map = new maplibregl.Map({
    container: "map", style: darkStyle(), bounds: [[west, south], [east, north]], fitBoundsOptions: { padding: 30 },
    renderWorldCopies: false, attributionControl: false, maxTileCacheSize: 200,
    locale: { "Map.Title": t("peta.judul") },
  });
  map.addControl(new maplibregl.NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new maplibregl.ScaleControl({ unit: "metric" }), "bottom-right");
  return map;
};

export const show = (map, name, features) => map.getSource(name)?.setData(Array.isArray(features) ? { ...NOTHING, features } : features ?? NOTHING);

export const showEvents = (map, state) => {
  show(map, "gempa", state.gempa.map((one) => ({ type: "Feature", properties: { id: one.id, magnitudo: one.magnitudo ?? 0 }, geometry: { type: "Point", coordinates: [one.lon, one.lat] } })));
  show(map, "peringatan", state.peringatan.filter((one) => one.geometry).map((one) => ({ type: "Feature", properties: { id: one.id, warna: config.severity[one.tingkat] ?? "#8aa0b4" }, geometry: one.geometry })));
};

export const showAnswer = (map, answer) => {
  for (const name of ["desa", "fasilitas", "rencana", "pusat"]) show(map, name, answer?.peta[name]);
  if (!answer) return;
  const box = new maplibregl.LngLatBounds();
  const extend = (at) => (typeof at[0] === "number" ? box.extend(at) : at.forEach(extend));
  for (const feature of [...answer.peta.desa.features, ...answer.peta.pusat.features]) extend(feature.geometry.coordinates);
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (!box.isEmpty()) map.fitBounds(box, { padding: 40, maxZoom: answer.ringkasan.desa ? 12 : 6, duration: calm ? 0 : 800 });
};

const plan = (answer) => {
  const [n, semua] = [answer.peta.rencana.features.length, answer.kiriman_total];
  return n < semua ? t("legenda.rencana_terbesar", { n: number(n, 0), semua: number(semua, 0) }) : t("legenda.rencana");
};

export const legend = (holder, element, answer) => {
  const line = (kind, colour, text) => element("li", {}, element("i", { class: kind, style: `--warna:${colour}` }), text);
  holder.replaceChildren(...(answer ? [
    ...answer.legenda.map(([label, colour]) => line("kotak", colour, label || t("tab.desa"))),
    line("bulat", "#43d17c", t("legenda.gudang")), line("bulat", "#8a94a0", t("legenda.tanpa")), line("garis", "#4fc3f7", plan(answer)),
  ] : []));
};
