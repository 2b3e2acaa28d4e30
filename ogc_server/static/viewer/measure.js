// Distance and area on the sphere (mean radius 6,371,008.8 m, IUGG): good to 0.5 %, and it says so.
import { number, say, t } from "./setup.js";

const R = 6371008.8;
const rad = Math.PI / 180;

export const distance = ([lon1, lat1], [lon2, lat2]) => {
  const a = Math.sin(((lat2 - lat1) * rad) / 2) ** 2 + Math.cos(lat1 * rad) * Math.cos(lat2 * rad) * Math.sin(((lon2 - lon1) * rad) / 2) ** 2;
  return 2 * R * Math.asin(Math.min(1, Math.sqrt(a)));
};

export const area = (ring) => {
  let sum = 0;
  for (let i = 0; i < ring.length; i += 1) {
    const [lon1, lat1] = ring[i];
    const [lon2, lat2] = ring[(i + 1) % ring.length];
    sum += (lon2 - lon1) * rad * (2 + Math.sin(lat1 * rad) + Math.sin(lat2 * rad));
  }
  return Math.abs((sum * R * R) / 2);
};

export const startMeasure = (map) => {
  const button = document.getElementById("measure");
  const result = document.getElementById("measure-result");
  const back = document.getElementById("measure-back");
  let points = [];
  const data = () => ({ type: "FeatureCollection", features: [
    ...(points.length > 2 ? [{ type: "Feature", properties: {}, geometry: { type: "Polygon", coordinates: [[...points, points[0]]] } }] : []),
    ...(points.length > 1 ? [{ type: "Feature", properties: {}, geometry: { type: "LineString", coordinates: points } }] : []),
    ...points.map((at) => ({ type: "Feature", properties: {}, geometry: { type: "Point", coordinates: at } })),
  ] });
  const draw = () => {
    if (!map.getSource("measure")) {
      map.addSource("measure", { type: "geojson", data: data() });
      map.addLayer({ id: "measure:fill", type: "fill", source: "measure", filter: ["==", ["geometry-type"], "Polygon"], paint: { "fill-color": "#e08a00", "fill-opacity": 0.2 } });
      map.addLayer({ id: "measure:line", type: "line", source: "measure", filter: ["==", ["geometry-type"], "LineString"], paint: { "line-color": "#e08a00", "line-width": 2.5 } });
      map.addLayer({ id: "measure:point", type: "circle", source: "measure", filter: ["==", ["geometry-type"], "Point"], paint: { "circle-color": "#e08a00", "circle-radius": 4 } });
    } else map.getSource("measure").setData(data());
    let length = 0;
    for (let i = 1; i < points.length; i += 1) length += distance(points[i - 1], points[i]);
    const parts = [];
    if (points.length > 1) parts.push(t("measure.length", { km: number(length / 1000, 3) }));
    if (points.length > 2) parts.push(t("measure.area", { km2: number(area(points) / 1e6, 3) }));
    result.textContent = parts.join(" · ");
    back.hidden = !points.length;
  };
  const undo = () => { points.pop(); draw(); if (!points.length && document.activeElement === document.body) button.focus(); };
  back.addEventListener("click", undo);
  const stop = () => { map.measuring = false; button.setAttribute("aria-pressed", "false"); points = []; if (map.getSource("measure")) draw(); result.textContent = ""; };
  button.addEventListener("click", () => {
    if (map.measuring) return stop();
    map.measuring = true;
    button.setAttribute("aria-pressed", "true");
    say(t("measure.how"));
  });
  map.on("click", (event) => { if (map.measuring) { points.push([event.lngLat.lng, event.lngLat.lat]); draw(); } });
  const canvas = map.getCanvas();
  canvas.addEventListener("keydown", (event) => {
    if (!map.measuring) return;
    if (event.key === "Escape") stop();
    if (event.key === "Enter") { const { lng, lat } = map.getCenter(); points.push([lng, lat]); draw(); }
    if (event.key === "Backspace") undo();
  });
};
