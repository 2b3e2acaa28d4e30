// The server's clock: ages are counted from it, so that a wrong clock in the PC tells no lies.
import { config, lang, t } from "../viewer/setup.js";

let offset = 0; // server minus performance.now(), in ms: a change of the PC's clock does not matter
let known = false;

export const setServerTime = (iso) => {
  const at = Date.parse(iso);
  if (!Number.isNaN(at)) { offset = at - performance.now(); known = true; }
};
export const serverNow = () => (known ? performance.now() + offset : Date.now());

const format = (options) => new Intl.DateTimeFormat(lang, { timeZone: config.zone, hourCycle: "h23", ...options });
const HOURS = format({ hour: "2-digit", minute: "2-digit" });
const SECONDS = format({ weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const FULL = format({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

export const hour = (value) => HOURS.format(new Date(value));
export const full = (value) => FULL.format(new Date(value));
export const wall = (value) => `${SECONDS.format(new Date(value))} ${config.zone_name}`;

export const age = (iso) => {
  const seconds = Math.max(0, (serverNow() - Date.parse(iso)) / 1000);
  if (seconds < 90) return t("umur.detik", { n: Math.round(seconds) });
  if (seconds < 5400) return t("umur.menit", { n: Math.round(seconds / 60) });
  if (seconds < 129600) return t("umur.jam", { n: Math.round(seconds / 3600) });
  return t("umur.hari", { n: Math.round(seconds / 86400) });
};

// Every element with data-since shows its age, each second.
export const tick = () => {
  document.getElementById("jam").textContent = wall(serverNow());
  for (const one of document.querySelectorAll("[data-since]")) {
    const text = t("umpan.lalu", { umur: age(one.dataset.since) });
    if (one.textContent !== text) one.textContent = text;
  }
};
