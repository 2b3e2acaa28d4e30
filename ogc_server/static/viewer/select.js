// What a person chose, on the map or in the table: drawn over all layers, and marked in the table.
const COLOUR = "#b3191f";
export const LAYERS = ["selected:line", "selected:point"];

const sized = (feature) => feature.geometry && { type: "Feature", properties: {}, geometry: feature.geometry };

export const startSelection = (map) => {
  const told = [];
  let chosen = new Set();
  const draw = (features) => {
    const data = { type: "FeatureCollection", features: features.map(sized).filter(Boolean) };
    const source = map.getSource("selected");
    if (source) return source.setData(data);
    if (!data.features.length) return;
    map.addSource("selected", { type: "geojson", data });
    const points = ["==", ["geometry-type"], "Point"];
    map.addLayer({ id: LAYERS[0], type: "line", source: "selected", filter: ["!", points], paint: { "line-color": COLOUR, "line-width": 2.5 } });
    map.addLayer({ id: LAYERS[1], type: "circle", source: "selected", filter: points, paint: { "circle-radius": 9, "circle-color": COLOUR, "circle-opacity": 0, "circle-stroke-color": COLOUR, "circle-stroke-width": 2.5 } });
  };
  return {
    // `features` are GeoJSON features with their `collection`.
    set(features) {
      chosen = new Set(features.map((one) => `${one.collection}/${one.id}`));
      draw(features);
      told.forEach((work) => work());
    },
    has: (collection, id) => chosen.has(`${collection}/${id}`),
    changed(work) { told.push(work); },
  };
};
