// The map below all others: our own boundaries on a plain sea, a graticule, and (when configured and
// chosen) somebody else's tiles. Nothing of it needs another host.
import { config, say, t } from "./setup.js";

const graticule = () => {
  const lines = [];
  for (let lon = 90; lon <= 145; lon += 1) lines.push([[lon, -15], [lon, 10]]);
  for (let lat = -15; lat <= 10; lat += 1) lines.push([[90, lat], [145, lat]]);
  return { type: "Feature", properties: {}, geometry: { type: "MultiLineString", coordinates: lines } };
};

export const baseStyle = () => {
  const sources = { graticule: { type: "geojson", data: graticule() } };
  const layers = [
    { id: "sea", type: "background", paint: { "background-color": "#dfeaf2" } },
    { id: "graticule", type: "line", source: "graticule", paint: { "line-color": "#c3d2de", "line-width": 0.6 } },
  ];
  for (const id of config.basemap) {
    const source = `base:${id}`;
    sources[source] = {
      type: "vector",
      tiles: [config.tiles[id]],
      maxzoom: 12,
    };
    layers.push(
      { id: `${source}:fill`, type: "fill", source, "source-layer": id, paint: { "fill-color": "#f7f4ec" } },
      { id: `${source}:line`, type: "line", source, "source-layer": id, paint: { "line-color": "#b9b2a3", "line-width": ["interpolate", ["linear"], ["zoom"], 5, 0.15, 12, 0.7] } },
    );
  }
  return { version: 8, glyphs: `${config.base}/fonts/{fontstack}/{range}.pbf`, sources, layers };
};

// Whether everything of it that the view needs is drawn.
export const baseDrawn = (map) => config.basemap.every((id) => map.getSource(`base:${id}`) && map.isSourceLoaded(`base:${id}`));

export const showOnline = (map, shown) => {
  if (!config.online) return;
  if (shown && !map.getSource("online")) {
    map.addSource("online", { type: "raster", tiles: [config.online.url], tileSize: 256, attribution: config.online.attribution });
    const above = map.getStyle().layers.find((layer) => layer.id !== "sea")?.id;
    map.addLayer({ id: "online", type: "raster", source: "online" }, above);
    map.on("error", (event) => { if (event.sourceId === "online") say(t("basemap.failed")); });
  }
  if (map.getLayer("online")) map.setLayoutProperty("online", "visibility", shown ? "visible" : "none");
  for (const id of config.basemap) {
    map.setLayoutProperty(`base:${id}:fill`, "visibility", shown ? "none" : "visible");
  }
};
