// Drawing an area: by clicks, by keys, by typing, or pasted as GeoJSON. Ends in `compute(geometry)`.
import { number, t } from "../viewer/setup.js";
import { show } from "./map.js";

// "107.05 -6.9", "107.05, -6.9", "107.05;-6.9", "107.05,-6.9", and with decimal commas "107,05 -6,9"
const numbers = (line) => {
  const parts = line.trim().replace(/,(?=\s)|;/g, " ").split(/\s+/);
  return (parts.length === 2 ? parts.map((one) => one.replace(",", ".")) : parts.join(" ").split(/[\s,]+/)).map(Number);
};

// Tells whether two sides of the ring cross; of long outlines nothing is said.
const crosses = (ring) => {
  const turn = (a, b, c) => Math.sign((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]));
  const sides = ring.length > 300 ? [] : ring.map((at, n) => [at, ring[(n + 1) % ring.length]]);
  return sides.some(([a, b], n) => sides.slice(n + 1).some(([c, d]) => turn(a, b, c) * turn(a, b, d) < 0 && turn(c, d, a) * turn(c, d, b) < 0));
};

// Returns the polygon in a text of lines "lon lat", or in GeoJSON; throws with what is wrong.
export const readArea = (text) => {
  const trimmed = text.trim();
  if (trimmed.startsWith("{")) {
    try { return JSON.parse(trimmed); } catch { throw new Error(t("gambar.salah", { baris: trimmed.slice(0, 40) })); }
  }
  const ring = trimmed.split("\n").filter((line) => line.trim()).map((line) => {
    const parts = numbers(line);
    if (parts.length !== 2 || parts.some(Number.isNaN)) throw new Error(t("gambar.salah", { baris: line.slice(0, 40) }));
    if (Math.abs(parts[0]) > 180 || Math.abs(parts[1]) > 90) throw new Error(t("gambar.luar", { baris: line.slice(0, 40) }));
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
  const submit = document.getElementById("hitung");
  const drawing = () => !sheet.hidden;
  const tell = (said, wrong = false) => { count.textContent = said; count.classList.toggle("salah", wrong); };
  const draw = () => {
    show(map, "gambar", [
      ...(points.length > 2 ? [{ type: "Feature", properties: {}, geometry: { type: "Polygon", coordinates: [[...points, points[0]]] } }] : []),
      ...(points.length > 1 ? [{ type: "Feature", properties: {}, geometry: { type: "LineString", coordinates: points } }] : []),
      ...points.map((at) => ({ type: "Feature", properties: {}, geometry: { type: "Point", coordinates: at } })),
    ]);
    tell(t(crosses(points) ? "gambar.silang" : "gambar.titik", { n: number(points.length, 0) }));
  };
  const write = () => { text.value = points.map((at) => at.map((value) => value.toFixed(5)).join(" ")).join("\n"); draw(); };
  const add = ({ lng, lat }) => { points.push([lng, lat]); write(); };
  const close = () => {
    const inside = sheet.contains(document.activeElement) || document.activeElement === document.body; // a button that was switched off has lost it
    sheet.hidden = true;
    if (inside) button.focus();
    document.getElementById("tengah").classList.remove("menggambar");
    button.setAttribute("aria-expanded", "false");
    map.getCanvas().style.cursor = "";
    points = [];
    text.value = "";
    draw();
  };
  const open = () => {
    sheet.hidden = false;
    document.getElementById("tengah").classList.add("menggambar");
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
      tell(t("gambar.menghitung"));
      submit.disabled = true;
      await compute(area);
      close();
    } catch (error) { tell(error.message, true); } finally { submit.disabled = false; }
  });
  return { drawing };
};
