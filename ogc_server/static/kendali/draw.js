// Drawing an area: by clicks, by keys, by typing, or pasted as GeoJSON. Ends in `compute(geometry)`.
import { number, t } from "../viewer/setup.js";
import { show } from "./map.js";

// Returns the polygon in a text of lines "lon lat", or in GeoJSON; throws with what is wrong.
export const readArea = (text) => {
  const trimmed = text.trim();
  if (trimmed.startsWith("{")) {
    try { return JSON.parse(trimmed); } catch { throw new Error(t("gambar.salah", { baris: trimmed.slice(0, 40) })); }
  }
  const ring = trimmed.split("\n").filter((line) => line.trim()).map((line) => {
    const parts = line.trim().replace(/,(?=\s)|;/g, " ").split(/[\s,]+/).map(Number);
    if (parts.length !== 2 || parts.some(Number.isNaN)) throw new Error(t("gambar.salah", { baris: line.slice(0, 40) }));
    return parts;
  });
  return polygon(ring);
};

const polygon = (ring) => {
  if (ring.length < 3) throw new Error(t("gambar.kurang"));
  return { type: "Polygon", coordinates: [[...ring, ring[0]]] };
};

export const startDraw = (map, compute) => {
  const button = document.getElementById("gambar");
  const sheet = document.getElementById("lembar-gambar");
  const text = document.getElementById("teks-area");
  const count = document.getElementById("jumlah-titik");
  let points = [];
  const drawing = () => !sheet.hidden;
  const draw = () => {
    show(map, "gambar", [
      ...(points.length > 2 ? [{ type: "Feature", properties: {}, geometry: { type: "Polygon", coordinates: [[...points, points[0]]] } }] : []),
      ...(points.length > 1 ? [{ type: "Feature", properties: {}, geometry: { type: "LineString", coordinates: points } }] : []),
      ...points.map((at) => ({ type: "Feature", properties: {}, geometry: { type: "Point", coordinates: at } })),
    ]);
    count.textContent = t("gambar.titik", { n: number(points.length, 0) });
  };
  const write = () => { text.value = points.map((at) => at.map((value) => value.toFixed(5)).join(" ")).join("\n"); draw(); };
  const add = ({ lng, lat }) => { points.push([lng, lat]); write(); };
  const close = () => {
    sheet.hidden = true;
    button.setAttribute("aria-expanded", "false");
    map.getCanvas().style.cursor = "";
    points = [];
    text.value = "";
    draw();
  };
  const open = () => {
    sheet.hidden = false;
    button.setAttribute("aria-expanded", "true");
    map.getCanvas().style.cursor = "crosshair";
    draw();
    map.getCanvas().focus();
  };
  button.addEventListener("click", () => (drawing() ? close() : open()));
  document.getElementById("batal").addEventListener("click", close);
  map.on("click", (event) => { if (drawing()) add(event.lngLat); });
  text.addEventListener("input", () => {
    try { const found = readArea(text.value); points = found.type === "Polygon" ? found.coordinates[0].slice(0, -1) : []; } catch { points = []; }
    draw();
  });
  map.getCanvas().addEventListener("keydown", (event) => {
    if (!drawing()) return;
    if (event.key === "Escape") close();
    if (event.key === "Enter") add(map.getCenter());
    if (event.key === "Backspace") { points.pop(); write(); }
  });
  sheet.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
  sheet.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const area = readArea(text.value);
      if (await compute(area)) close();
    } catch (error) { count.textContent = error.message; }
  });
  return { drawing };
};
