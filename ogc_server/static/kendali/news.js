// Tells what is new between two states; what stood in the first one is not news.
import { number, t } from "../viewer/setup.js";

const MOST = 2000; // ids remembered: far more than any state holds

export class News {
  #seen = new Map();
  #first = true;

  // Returns [{text, level, sound, open}], the weightiest last.
  of(state) {
    const found = [];
    for (const quake of state.gempa) {
      if (this.#note(`g:${quake.id}`)) found.push({ text: t("baru.gempa", { magnitudo: number(quake.magnitudo ?? 0, 1), wilayah: quake.wilayah ?? "" }), level: quake.magnitudo >= 5 ? "berat" : "biasa", open: quake });
    }
    for (const warning of state.peringatan) {
      if (this.#note(`p:${warning.id}`)) found.push({ text: t("baru.peringatan", { peristiwa: warning.peristiwa ?? "", wilayah: warning.wilayah ?? "" }), level: ["Extreme", "Severe"].includes(warning.tingkat) ? "berat" : "biasa", open: warning });
    }
    for (const answer of state.jawaban) {
      if (this.#note(`j:${answer.id}:${answer.revisi}`)) {
        const key = answer.revisi > 1 ? "baru.revisi" : "baru.jawaban";
        found.push({ text: t(key, { judul: answer.judul, desa: number(answer.ringkasan.desa), revisi: answer.revisi }), level: "berat", open: answer });
      }
    }
    const first = this.#first;
    this.#first = false;
    while (this.#seen.size > MOST) this.#seen.delete(this.#seen.keys().next().value);
    return first ? [] : found;
  }

  #note(id) {
    const fresh = !this.#seen.has(id);
    this.#seen.delete(id);
    this.#seen.set(id, true);
    return fresh;
  }
}
