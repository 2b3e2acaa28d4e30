// The panel of one answer: sums, and five tables of which one shows. Rows on the page are bounded.
import { address, element, lang, number, t } from "../viewer/setup.js";
import { full, hour } from "./clock.js";

const TABS = ["desa", "fasilitas", "rencana", "kurang", "sumber"];
const MOST_ROWS = 150;
let shown = null;
let tab = "desa";
let order = { column: null, down: true };

const km = (metres) => (metres === null || metres === undefined ? "–" : number(metres / 1000, 1));
const named = (what) => { const key = `hitung.${what}`; const found = t(key); return found === key ? what.replaceAll("_", " ") : found; };
const value = (one) => (one === null || one === undefined ? "–" : typeof one === "number" ? number(one, 1) : one);

// Columns: [key, title, value of a row, is a number]
const COLUMNS = {
  desa: (answer) => [
    ["nama", t("kolom.nama"), (row) => row.nama], ["di", t("kolom.di"), (row) => [row.kecamatan, row.kabkota?.replace(/^Kabupaten /, "Kab. ")].filter(Boolean).join(", ")],
    answer.jenis === "gempa" ? ["mmi", t("kolom.mmi"), (row) => row.mmi, true] : ["bagian", t("kolom.bagian"), (row) => Math.round(row.bagian * 1000) / 10, true],
    ...Object.keys(answer.ringkasan.perkiraan).map((what) => [`kira-${what}`, t("ringkas.kira", { nama: named(what) }), (row) => row.perkiraan[what], true]),
    ["terdekat", t("kolom.terdekat"), (row) => row.terdekat.nama], ["jarak", t("kolom.jarak"), (row) => (row.terdekat.jarak_m === null || row.terdekat.jarak_m === undefined ? null : Math.round(row.terdekat.jarak_m / 100) / 10), true],
  ],
  fasilitas: (answer) => {
    const items = [...new Set(answer.fasilitas.flatMap((row) => Object.entries(row.stok ?? {}).filter(([, amount]) => amount).map(([item]) => item)))].slice(0, 8);
    return [["nama", t("kolom.nama"), (row) => row.nama], ["jenis", t("kolom.jenis"), (row) => row.jenis], ["status", t("kolom.status"), (row) => row.status],
      ["jarak", t("kolom.jarak"), (row) => Math.round(row.jarak_m / 100) / 10, true], ["desa", t("kolom.untuk_desa"), (row) => row.desa, true],
      ...items.map((item) => [`stok-${item}`, t("kolom.stok", { item }), (row) => row.stok?.[item], true])];
  },
  rencana: () => [["item", t("kolom.item"), (row) => row.item], ["jumlah", t("kolom.jumlah"), (row) => row.jumlah, true], ["satuan", t("kolom.satuan"), (row) => row.satuan], ["gudang", t("kolom.gudang"), (row) => row.gudang_nama], ["tujuan", t("kolom.tujuan"), (row) => row.nama || row.kode], ["jarak", t("kolom.jarak"), (row) => Math.round(row.jarak_m / 100) / 10, true]],
  kurang: () => [["item", t("kolom.item"), (row) => row.item], ["jumlah", t("kolom.kurang"), (row) => row.jumlah, true], ["satuan", t("kolom.satuan"), (row) => row.satuan], ["tujuan", t("kolom.tujuan"), (row) => row.nama || row.kode], ["alasan", t("kolom.alasan"), (row) => row.alasan]],
  sumber: () => [["judul", t("kolom.data"), (row) => row.judul], ["versi", t("kolom.versi"), (row) => row.versi, true], ["dibuat", t("kolom.dibuat"), (row) => (row.dibuat ? full(row.dibuat) : null)], ["produsen", t("kolom.produsen"), (row) => row.produsen], ["lisensi", t("kolom.lisensi"), (row) => row.lisensi], ["tanda", t("kolom.tanda"), (row) => (row.sintetis ? t("tanda.sintetis") : "")]],
};
const ROWS = { desa: (a) => a.desa, fasilitas: (a) => a.fasilitas, rencana: (a) => a.kiriman, kurang: (a) => a.kurang, sumber: (a) => a.sumber };
const TOTAL = { desa: (a) => a.ringkasan.desa, fasilitas: (a) => a.fasilitas_total, rencana: (a) => a.kiriman_total, kurang: (a) => a.kurang_total, sumber: (a) => a.sumber.length };

const sorted = (rows, columns) => {
  const column = columns.find(([key]) => key === order.column);
  if (!column) return rows;
  const sign = order.down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [column[2](a), column[2](b)];
    if (x === null || x === undefined) return 1;
    if (y === null || y === undefined) return -1;
    return sign * (typeof x === "number" ? x - y : String(x).localeCompare(String(y), lang));
  });
};

const drawTable = () => {
  const holder = document.getElementById("isi-tab");
  if (!shown) return holder.replaceChildren();
  const columns = COLUMNS[tab](shown);
  const rows = ROWS[tab](shown);
  const total = TOTAL[tab](shown);
  if (!rows.length) return holder.replaceChildren(element("p", { class: "kosong" }, t("kosong.daftar")));
  const head = columns.map(([key, title, , isNumber]) => element("th", { class: isNumber ? "angka" : "", scope: "col", "aria-sort": order.column === key ? (order.down ? "descending" : "ascending") : false },
    element("button", { type: "button", title: t("urut", { kolom: title }), onclick: () => { order = { column: key, down: order.column === key ? !order.down : Boolean(isNumber) }; drawTable(); } }, title)));
  const body = sorted(rows, columns).slice(0, MOST_ROWS).map((row) => element("tr", {},
    ...columns.map(([, , get, isNumber], at) => element("td", { class: isNumber ? "angka" : "" }, at === 0 && row.warna ? element("i", { class: "kotak", style: `--warna:${row.warna}` }) : null, String(value(get(row)))))));
  holder.replaceChildren(
    element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body)),
    total > body.length ? element("p", { class: "lebih" }, t("lebih", { n: number(body.length, 0), semua: number(total, 0) })) : "");
};

const tile = (label, text, kind = "") => element("div", { class: kind }, element("dt", {}, label), element("dd", {}, text));

export const drawAnswer = (answer, seconds = null) => {
  shown = answer;
  order = { column: null, down: true };
  const head = document.getElementById("kepala");
  document.getElementById("tab").hidden = !answer;
  document.getElementById("unduh").hidden = !answer;
  const summary = document.getElementById("ringkasan");
  if (!answer) { head.replaceChildren(element("p", { class: "kosong" }, t("pilih"))); summary.replaceChildren(); return drawTable(); }
  const marks = ["latihan", "sintetis", "dibatalkan"].filter((name) => answer[name]).map((name) => element("span", { class: "tanda" }, t(`tanda.${name}`)));
  const when = answer.revisi ? t("ringkas.revisi", { revisi: answer.revisi, jam: full(answer.dibuat) }) : t("ringkas.sesaat", { jam: hour(answer.dibuat), detik: seconds === null ? "–" : number(seconds, 1) });
  head.replaceChildren(
    element("h2", {}, answer.judul),
    element("p", {}, ...marks, answer.id ? null : element("span", { class: "tanda biru" }, t("tanda.belum_terbit")), element("small", {}, when)),
    ...(answer.ringkasan.desa ? [] : [element("p", { class: "catatan" }, t("kosong.desa"))]),
    ...answer.catatan.map((note) => element("p", { class: "catatan" }, note)));
  const said = answer.ringkasan;
  summary.replaceChildren(
    tile(t("ringkas.desa"), number(said.desa, 0), "utama"), tile(t("ringkas.kabkota"), number(said.kabkota, 0)),
    ...(said.mmi_tertinggi === null ? [] : [tile(t("ringkas.mmi"), number(said.mmi_tertinggi, 1))]),
    ...Object.entries(said.perkiraan).map(([what, many]) => tile(t("ringkas.kira", { nama: named(what) }), number(many, 0), "utama")),
    ...(said.desa_tanpa_data ? [tile(t("ringkas.tanpa_data"), number(said.desa_tanpa_data, 0), "awas")] : []),
    ...said.item.map((one) => tile(t("ringkas.kurang", { item: one.item.replaceAll("_", " ") }), `${number(one.kurang, 0)} ${one.satuan}`, one.kurang ? "awas" : "")));
  for (const name of TABS) document.querySelector(`#tab-${name} span`).textContent = number(TOTAL[name](answer), 0);
  drawTable();
};

export const startTabs = () => {
  const open = (name) => {
    tab = name;
    order = { column: null, down: true };
    for (const one of TABS) {
      const button = document.getElementById(`tab-${one}`);
      button.setAttribute("aria-selected", String(one === name));
      button.tabIndex = one === name ? 0 : -1;
    }
    document.getElementById("isi-tab").setAttribute("aria-labelledby", `tab-${name}`);
    drawTable();
  };
  for (const one of TABS) {
    const button = document.getElementById(`tab-${one}`);
    button.addEventListener("click", () => open(one));
    button.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = TABS[(TABS.indexOf(one) + step + TABS.length) % TABS.length];
      open(next);
      document.getElementById(`tab-${next}`).focus();
    });
  }
};

// Take the report of what is shown: of a drawn area by POST, so its outline stands in no address.
export const startReports = (current, failed) => {
  for (const form of ["pdf", "xlsx"]) {
    const button = document.getElementById(`unduh-${form}`);
    button.addEventListener("click", async () => {
      const now = current();
      if (!now) return;
      button.disabled = true;
      try {
        const path = address("/kendali/laporan", { f: form, lang, kejadian: now.area ? null : now.name });
        const answer = await fetch(path, now.area ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ area: now.area }) } : {});
        if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).title ?? String(answer.status));
        const name = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition") ?? "")?.[1] ?? `laporan.${form}`;
        const link = element("a", { href: URL.createObjectURL(await answer.blob()), download: name });
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
      } catch (error) { failed(error); } finally { button.disabled = false; }
    });
  }
};
