// The map below all others: our own boundaries on a plain sea, a graticule, and (when configured and
// chosen) somebody else's tiles. Nothing of it needs another host.
//
// Where the page's first picture is exact enough it is the boundaries, and no tile is asked for; from its
// turning zoom on they are drawn of tiles, and the picture stays below until those are there.
import { config, say, t } from "./setup.js";

const { turn, unit, land, borders } = window.first.drawn; // first.js, in the page
const LAND = { "fill-color": "#f7f4ec" };
const WIDTH = ["interpolate", ["linear"], ["zoom"], 5, 0.15, 12, 0.7];
const BORDER = { "line-color": "#b9b2a3", "line-width": WIDTH };
const BOTH = { "line-color": "#b9b2a3", "line-width": ["interpolate", ["linear"], ["zoom"], 5, 0.21, 12, 0.98] }; // tiles draw them from both sides

const feature = (type, coordinates) => ({ type: "Feature", properties: {}, geometry: { type, coordinates } });
const collection = (...features) => ({ type: "FeatureCollection", features });

const graticule = () => {
  const lines = [];
  for (let lon = 90; lon <= 145; lon += 1) lines.push([[lon, -15], [lon, 10]]);
  for (let lat = -15; lat <= 10; lat += 1) lines.push([[90, lat], [145, lat]]);
  return feature("MultiLineString", lines);
};

// The places of one line of the picture: its first absolute, then step by step.
const line = (text) => {
  const numbers = text.match(/-?\d+/g).map(Number);
  let [x, y] = numbers;
  const places = [unit(x, y)];
  for (let i = 2; i < numbers.length; i += 2) places.push(unit(x += numbers[i], y += numbers[i + 1]));
  return places;
};
const lines = (path) => path.split("M").slice(1).map(line);
const overview = land && collection(
  feature("MultiPolygon", land.split(/ (?=M)/).map((one) => lines(one).map((ring) => [...ring, ring[0]]))),
  feature("MultiLineString", lines(borders)),
);
const OVERVIEW = ["overview:fill", "overview:line", "overview:borders"];

export const baseStyle = (zoom) => {
  const sources = { graticule: { type: "geojson", data: graticule() } };
  const layers = [
    { id: "sea", type: "background", paint: { "background-color": "#dfeaf2" } },
    { id: "graticule", type: "line", source: "graticule", paint: { "line-color": "#c3d2de", "line-width": 0.6 } },
  ];
  if (overview) {
    const layout = { visibility: zoom < turn + 1 ? "visible" : "none" };
    const of = (kind) => ({ source: "overview", layout, filter: ["==", ["geometry-type"], kind] });
    sources.overview = { type: "geojson", data: overview };
    layers.push(
      { id: "overview:fill", type: "fill", ...of("Polygon"), paint: LAND },
      { id: "overview:line", type: "line", ...of("Polygon"), paint: BORDER },
      { id: "overview:borders", type: "line", ...of("LineString"), paint: BOTH },
    );
  }
  for (const id of config.basemap) {
    const source = `base:${id}`;
    sources[source] = { type: "vector", tiles: [config.tiles[id]], maxzoom: 12 };
    const from = overview ? { minzoom: turn } : {};
    layers.push(
      { id: `${source}:fill`, type: "fill", source, "source-layer": id, ...from, paint: LAND },
      { id: `${source}:line`, type: "line", source, "source-layer": id, ...from, paint: BORDER },
    );
  }
  return { version: 8, glyphs: `${config.base}/fonts/{fontstack}/{range}.pbf`, sources, layers };
};

// Keep the overview where it is exact enough, and below the tiles until they are drawn.
export const keepOverview = (map) => {
  if (!overview) return;
  const show = (shown) => {
    const value = shown ? "visible" : "none";
    for (const id of OVERVIEW)
      if (map.getLayer(id) && map.getLayoutProperty(id, "visibility") !== value) map.setLayoutProperty(id, "visibility", value);
  };
  map.on("zoom", () => { if (map.getZoom() < turn) show(true); });
  map.on("idle", () => show(map.getZoom() < turn));
};

// Whether everything of it that the view needs is drawn.
export const baseDrawn = (map) =>
  (overview && map.getZoom() < turn ? ["overview"] : config.basemap.map((id) => `base:${id}`))
    .every((id) => map.getSource(id) && map.isSourceLoaded(id));

export const showOnline = (map, shown) => {
  if (!config.online) return;
  if (shown && !map.getSource("online")) {
    map.addSource("online", { type: "raster", tiles: [config.online.url], tileSize: 256, attribution: config.online.attribution });
    // over our own land, which shows where the others do not answer; below our borders
    const above = map.getStyle().layers.find((layer) => !/^(sea$|graticule$|overview:|base:.*:fill$)/.test(layer.id))?.id;
    map.addLayer({ id: "online", type: "raster", source: "online" }, above);
    map.on("error", (event) => { if (event.sourceId === "online") say(t("basemap.failed")); });
  }
  if (map.getLayer("online")) map.setLayoutProperty("online", "visibility", shown ? "visible" : "none");
};
