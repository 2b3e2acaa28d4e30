// Lists beside the map. Rows are kept by their id and changed only where they differ: a page that
// runs for days must not build and throw away the same rows at each change.
import { element, number, t } from "../viewer/setup.js";
import { full } from "./clock.js";

export const fill = (list, items, make, empty) => {
  list.removeAttribute("aria-busy");
  const old = new Map([...list.children].map((row) => [row.dataset.id, row]));
  const rows = items.map((item) => {
    const stamp = JSON.stringify(item, (key, value) => (key === "geometry" ? undefined : value));
    const known = old.get(item.id);
    if (known && known.dataset.stamp === String(hash(stamp))) return known;
    const row = make(item);
    row.dataset.id = item.id;
    row.dataset.stamp = hash(stamp);
    return row;
  });
  if (!rows.length) rows.push(element("li", { class: "kosong", "data-id": "" }, empty));
  const focused = list.contains(document.activeElement) ? document.activeElement.closest("li").dataset.id : null;
  for (const [at, row] of rows.entries()) if (list.children[at] !== row) list.insertBefore(row, list.children[at] ?? null);
  while (list.children.length > rows.length) list.lastElementChild.remove();
  if (focused !== null && !list.contains(document.activeElement)) rows.find((row) => row.dataset.id === focused)?.querySelector("button")?.focus();
};

const hash = (text) => {
  let value = 5381;
  for (let i = 0; i < text.length; i += 1) value = ((value * 33) ^ text.charCodeAt(i)) >>> 0;
  return value;
};

const marks = (one) => ["latihan", "sintetis", "dibatalkan"].filter((name) => one[name]).map((name) => element("span", { class: "tanda" }, t(`tanda.${name}`)));
const since = (iso) => element("time", { datetime: iso, "data-since": iso, title: full(iso) });
const button = (one, onclick, ...children) => element("li", {}, element("button", { type: "button", onclick, "data-key": one.id }, ...children));

export const quakeRow = (one, open) => button(one, () => open(one),
  element("b", { class: `besar ${one.magnitudo >= 5 ? "kuat" : ""}` }, `M${number(one.magnitudo ?? 0, 1)}`),
  element("span", { class: "tempat" }, one.wilayah ?? "", one.potensi ? element("small", {}, one.potensi) : null, one.dirasakan ? element("small", {}, one.dirasakan) : null),
  element("span", { class: "kapan" }, since(one.waktu), element("small", {}, t("gempa.dalam", { km: number(one.kedalaman_km ?? 0, 0) })), one.status ? element("small", { class: `status ${one.status}` }, t(`status.${one.status}`)) : null));

export const warningRow = (one, open) => button(one, () => open(one),
  element("b", { class: `besar tingkat-${one.tingkat ?? "Unknown"}` }, one.tingkat ?? "?"),
  element("span", { class: "tempat" }, one.peristiwa ?? one.judul ?? "", element("small", {}, one.wilayah ?? ""), ...marks(one)),
  element("span", { class: "kapan" }, since(one.waktu), one.sampai ? element("small", {}, t("peringatan.sampai", { jam: full(one.sampai) })) : null));

export const answerRow = (one, open) => button(one, () => open(one),
  element("b", { class: "besar kuat" }, number(one.ringkasan.desa), element("small", {}, t("ringkas.desa"))),
  element("span", { class: "tempat" }, one.judul, ...marks({ ...one, latihan: false, sintetis: false, dibatalkan: false })),
  element("span", { class: "kapan" }, one.waktu ? since(one.waktu) : null, element("small", { class: `status ${one.status}` }, t(`status.${one.status}`))));

export const feedRow = (one) => element("li", { class: `umpan ${one.keadaan}`, title: one.koleksi.join(", ") },
  element("b", {}, one.judul),
  one.terakhir_baik ? element("time", { datetime: one.terakhir_baik, "data-since": one.terakhir_baik, title: full(one.terakhir_baik) }) : element("span", {}, t("umpan.tidak")),
  element("span", { class: "keadaan" }, t(`umpan.${one.keadaan}`) + (one.alasan ? `: ${one.alasan}` : "")));
