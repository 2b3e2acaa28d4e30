// What is new, over everything else, until somebody closes it; at most four at once, the newest first.
import { element, t } from "../viewer/setup.js";

const MOST = 4;
const holder = document.getElementById("spanduk");

export const announce = (text, level, onShow, note = "") => {
  const close = () => { line.remove(); holder.hidden = !holder.children.length; };
  const line = element("p", { class: level },
    element("strong", {}, text, note ? element("small", {}, note) : null),
    element("button", { type: "button", onclick: () => { close(); onShow?.(); } }, t("baru.lihat")),
    element("button", { type: "button", onclick: close, "aria-label": t("baru.tutup"), title: t("baru.tutup") }, "✕"));
  holder.prepend(line);
  while (holder.children.length > MOST) holder.lastElementChild.remove();
  holder.hidden = false;
};
