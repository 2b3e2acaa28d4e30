// The time slider: layers with a time field show what happened in the days that end where the slider is.
import { layerOf, t } from "./setup.js";

const DAY = 86400000;
const iso = (at, end) => new Date(at).toISOString().slice(0, 10) + (end ? "T23:59:59.999Z" : "T00:00:00.000Z");

export const startTime = (layers) => {
  const holder = document.getElementById("time");
  const slider = document.getElementById("time-at");
  const days = document.getElementById("time-days");
  const label = document.getElementById("time-label");
  let range = null;

  const apply = () => {
    if (!range) return;
    const at = range[0] + Number(slider.value) * DAY;
    const back = Number(days.value);
    const all = Number(slider.value) === Number(slider.max) && !back;
    layers.filterTime(back ? iso(at - (back - 1) * DAY, false) : null, all ? null : iso(at, true));
    const shown = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeZone: "UTC" }).format(at);
    label.textContent = all ? t("time.all") : back ? t("time.window", { days: back, date: shown }) : t("time.until", { date: shown });
    slider.setAttribute("aria-valuetext", label.textContent);
  };
  slider.addEventListener("input", apply);
  days.addEventListener("change", apply);
  return {
    changed() {
      const spans = layers.shown.map((one) => layerOf(one.id)?.span).filter((span) => span?.[0] && span?.[1]);
      const when = spans.flat().map((at) => Math.floor(Date.parse(at) / DAY) * DAY);
      const [first, last] = [Math.min(...when), Math.max(...when)];
      holder.hidden = !when.length || first === last; // one day leaves nothing to choose
      if (holder.hidden) { range = null; return; }
      if (range && range[0] === first && range[1] === last) return apply();
      range = [first, last];
      slider.max = Math.max(0, Math.round((last - first) / DAY));
      slider.value = slider.max;
      apply();
    },
    // As the address has it: a day, which stays the same when more happens, and the window that ends there.
    get value() {
      if (!range || (Number(slider.value) === Number(slider.max) && !Number(days.value))) return "";
      return `${iso(range[0] + Number(slider.value) * DAY).slice(0, 10)}.${days.value}`;
    },
    set value(text) {
      const [day, back] = text.split(".");
      const at = Date.parse(`${day}T00:00:00Z`);
      if (!range || !Number.isFinite(at)) return;
      slider.value = Math.round((at - range[0]) / DAY);
      if ([...days.options].some((one) => one.value === back)) days.value = back;
      apply();
    },
  };
};
