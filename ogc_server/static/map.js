// The map on a page: either the features in the page itself, or those of a collection in view,
// asked from our own items address. What lies below are our own tiles, if there are any, and a graticule.
(() => {
  "use strict";
  const holder = document.getElementById("peta");
  if (!holder || !window.maplibregl) return;
  const status = document.getElementById("peta-status");
  const embedded = document.getElementById("peta-data");
  const items = holder.dataset.items;
  const basemap = JSON.parse(holder.dataset.basemap || "[]");
  const labels = JSON.parse(holder.dataset.labels || "{}");
  const LIMIT = 1000;
  const EMPTY = { type: "FeatureCollection", features: [] };

  const graticule = () => {
    const lines = [];
    for (let lon = 90; lon <= 145; lon += 1) lines.push([[lon, -15], [lon, 10]]);
    for (let lat = -15; lat <= 10; lat += 1) lines.push([[90, lat], [145, lat]]);
    return { type: "Feature", properties: {}, geometry: { type: "MultiLineString", coordinates: lines } };
  };

  const extent = (collection) => {
    const box = [Infinity, Infinity, -Infinity, -Infinity];
    const visit = (part) => {
      if (typeof part[0] === "number") {
        box[0] = Math.min(box[0], part[0]); box[1] = Math.min(box[1], part[1]);
        box[2] = Math.max(box[2], part[0]); box[3] = Math.max(box[3], part[1]);
      } else part.forEach(visit);
    };
    for (const feature of collection.features) {
      const geometry = feature.geometry;
      if (geometry) (geometry.geometries || [geometry]).forEach((one) => visit(one.coordinates));
    }
    for (const geometry of collection.asked || []) (geometry.geometries || [geometry]).forEach((one) => visit(one.coordinates));
    return Number.isFinite(box[0]) ? box : null;
  };

  // `asked` are the places that a question was about: drawn, but no part of the answer
  const asked = (geometries) => ({ type: "FeatureCollection", features: (geometries || []).map((geometry) => ({ type: "Feature", properties: {}, geometry })) });
  const below = {
    sources: Object.fromEntries(basemap.map(({ id, tiles }) => [`base:${id}`, { type: "vector", tiles: [tiles], maxzoom: 12 }])),
    layers: basemap.flatMap(({ id }) => [
      { id: `base:${id}:fill`, type: "fill", source: `base:${id}`, "source-layer": id, paint: { "fill-color": "#f7f4ec" } },
      { id: `base:${id}:line`, type: "line", source: `base:${id}`, "source-layer": id, paint: { "line-color": "#b9b2a3", "line-width": ["interpolate", ["linear"], ["zoom"], 5, 0.15, 12, 0.8] } },
    ]),
  };

  const data = embedded ? JSON.parse(embedded.textContent) : EMPTY;
  const given = holder.dataset.bbox ? holder.dataset.bbox.split(",").map(Number) : null;
  const box = extent(data) || given || [94, -11.5, 141.5, 6.5];

  const map = new maplibregl.Map({
    container: holder,
    bounds: [[box[0], box[1]], [box[2], box[3]]],
    fitBoundsOptions: { padding: 24, maxZoom: basemap.length ? 12.5 : 15 }, // so far that the desa around is seen
    renderWorldCopies: false,
    attributionControl: false,
    style: {
      version: 8,
      sources: { ...below.sources, data: { type: "geojson", data }, asked: { type: "geojson", data: asked(data.asked) }, grid: { type: "geojson", data: graticule() } },
      layers: [
        { id: "sea", type: "background", paint: { "background-color": "#e9eff4" } },
        { id: "grid", type: "line", source: "grid", paint: { "line-color": "#c3ced9", "line-width": 0.7 } },
        ...below.layers,
        { id: "fill", type: "fill", source: "data", filter: ["==", ["geometry-type"], "Polygon"], paint: { "fill-color": "#2f7fb5", "fill-opacity": 0.35 } },
        { id: "line", type: "line", source: "data", filter: ["!=", ["geometry-type"], "Point"], paint: { "line-color": "#0a4d78", "line-width": 1.2 } },
        { id: "point", type: "circle", source: "data", filter: ["==", ["geometry-type"], "Point"], paint: { "circle-color": "#b3191f", "circle-radius": 5, "circle-stroke-color": "#fff", "circle-stroke-width": 1.5 } },
        { id: "asked:line", type: "line", source: "asked", filter: ["!=", ["geometry-type"], "Point"], paint: { "line-color": "#1b2430", "line-width": 2, "line-dasharray": [3, 2] } },
        { id: "asked:point", type: "circle", source: "asked", filter: ["==", ["geometry-type"], "Point"], paint: { "circle-color": "#fff", "circle-radius": 7, "circle-stroke-color": "#1b2430", "circle-stroke-width": 3 } },
      ],
    },
  });
  map.addControl(new maplibregl.NavigationControl());
  map.addControl(new maplibregl.ScaleControl({ unit: "metric" }));

  // a tile below that is not ready yet is no fault of this page
  map.on("error", (event) => { if (!String(event.sourceId).startsWith("base:")) console.error(event.error); });

  let asking = null;
  const refresh = async () => {
    if (asking) asking.abort();
    asking = new AbortController();
    const view = map.getBounds();
    const clamp = (value, low, high) => Math.min(Math.max(value, low), high).toFixed(6);
    const bbox = [clamp(view.getWest(), -180, 180), clamp(view.getSouth(), -90, 90), clamp(view.getEast(), -180, 180), clamp(view.getNorth(), -90, 90)];
    try {
      const answer = await fetch(`${items}?f=json&limit=${LIMIT}&bbox=${bbox.join(",")}`, { signal: asking.signal });
      if (!answer.ok) throw new Error(String(answer.status));
      const found = await answer.json();
      map.getSource("data").setData(found);
      status.textContent = found.numberMatched > found.features.length
        ? holder.dataset.more.replace("{shown}", found.features.length).replace("{matched}", found.numberMatched) : "";
      holder.dataset.shown = String(found.features.length);
    } catch (error) {
      if (error.name !== "AbortError") status.textContent = holder.dataset.failed;
    }
  };

  // MapLibre hands over objects as the text of their JSON
  const said = (value) => {
    if (value === null || value === "") return "—";
    if (typeof value === "number") return value.toLocaleString(document.documentElement.lang, { maximumFractionDigits: 6, useGrouping: Math.abs(value) >= 10000 });
    if (typeof value === "string" && value.startsWith("{")) {
      try { return Object.entries(JSON.parse(value)).map(([name, one]) => `${labels[name] || name}: ${said(one)}`).join(" · "); } catch { /* a text */ }
    }
    return String(value);
  };
  const popup = (event) => {
    const feature = event.features[0];
    const list = document.createElement("dl");
    for (const [name, value] of Object.entries(feature.properties).slice(0, 12)) {
      const term = document.createElement("dt"); term.textContent = labels[name] || name;
      const text = document.createElement("dd"); text.textContent = said(value);
      list.append(term, text);
    }
    new maplibregl.Popup({ maxWidth: "22rem" }).setLngLat(event.lngLat).setDOMContent(list).addTo(map);
  };

  map.on("load", () => {
    for (const layer of ["fill", "point"]) {
      map.on("click", layer, popup);
      map.on("mouseenter", layer, () => { map.getCanvas().style.cursor = "pointer"; });
      map.on("mouseleave", layer, () => { map.getCanvas().style.cursor = ""; });
    }
    holder.dataset.ready = "true";
    if (embedded) holder.dataset.shown = String(data.features.length);
    else if (items) { refresh(); map.on("moveend", refresh); }
  });
})();
