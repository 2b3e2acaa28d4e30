// Pusat kendali: puts the parts together.
import { address, element, lang, t } from "../viewer/setup.js";
import { age, serverNow, tick } from "./clock.js";
import { Link } from "./link.js";
import { held, play, startSound } from "./sound.js";
import { announce } from "./banner.js";
import { News } from "./news.js";
import { answerRow, feedRow, fill, quakeRow, warningRow } from "./lists.js";
import { legend, show, showAnswer, showEvents, startMap } from "./map.js";
import { startDraw } from "./draw.js";
import { drawAnswer, startReports, startTabs } from "./answer.js";
import { config } from "../viewer/setup.js";

const map = startMap();
const news = new News();
const panel = document.getElementById("jawaban");
const legends = document.getElementById("legenda");
let state = null;
let ready = false;
let current = null; // {name, area, key}: what the panel shows
let asking = null; // the one request under way
let follow = true; // until a person chooses, the newest answer is shown

// What is under way or went wrong stays to be read until something else happens.
const say = (text) => { document.getElementById("viewer-status").textContent = text; };

const mark = () => {
  for (const button of document.querySelectorAll("#kejadian button[data-key]")) {
    button.setAttribute("aria-pressed", String(current !== null && button.dataset.key === current.key));
  }
};

// A server that has just got new boundaries makes their index first: it says when to come again.
const patient = async (path, options) => {
  for (;;) {
    const answer = await fetch(path, options);
    const seconds = Number(answer.headers.get("Retry-After"));
    if (answer.status !== 503 || !seconds) return answer;
    const { code } = await answer.clone().json().catch(() => ({}));
    if (code === "process-not-configured") return answer; // no waiting makes a missing layer come
    say(t("menyiapkan"));
    await new Promise((again) => setTimeout(again, Math.min(seconds, 5) * 1000));
  }
};

const request = async (path, options) => {
  asking?.abort();
  const mine = new AbortController();
  asking = mine;
  const limit = setTimeout(() => mine.abort(new Error(t("lama"))), 60_000);
  const slow = setTimeout(() => say(t("memuat")), 500);
  panel.setAttribute("aria-busy", "true");
  try {
    const answer = await patient(path, { ...options, signal: mine.signal });
    const body = await answer.json();
    if (!answer.ok) throw new Error([body.title, body.detail].filter(Boolean).join(": "));
    return body;
  } finally {
    clearTimeout(limit);
    clearTimeout(slow);
    if (asking === mine) { asking = null; panel.setAttribute("aria-busy", "false"); }
  }
};

const take = (answer, seconds) => {
  drawAnswer(answer, seconds);
  legend(legends, element, answer);
  showAnswer(map, answer);
  panel.dataset.shown = answer?.id ?? answer?.kejadian ?? (answer ? "area" : "");
};

const failed = (error) => { if (error?.name !== "AbortError") say(t("gagal", { alasan: error.message })); };

// Open an event or an answer of the lists. `version` asks for that very answer: another worker of the
// server may be a second behind, so a 404 is asked again.
const open = async (one, { chosen = true, tries = 3 } = {}) => {
  if (chosen) follow = false;
  const name = one.jawaban ?? one.id;
  const mine = { name, area: null, key: one.id, version: one.versi ?? null };
  current = mine;
  mark();
  const started = performance.now();
  try {
    const answer = await request(address("/kendali/jawaban", { kejadian: name, version: one.jawaban ? null : mine.version, lang }));
    if (current !== mine) return;
    take(answer, (performance.now() - started) / 1000);
    say("");
  } catch (error) {
    if (current !== mine || error.name === "AbortError") return;
    if (tries > 1) setTimeout(() => { if (current === mine) open(one, { chosen, tries: tries - 1 }); }, 1500);
    else { take(null); failed(error); }
  }
};

const compute = async (area) => {
  follow = false;
  const before = current;
  const mine = { name: null, area, key: "area" };
  current = mine;
  mark();
  const started = performance.now();
  try {
    const answer = await request(address("/kendali/jawaban", { lang }), { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ area }) });
    if (current !== mine) return;
    take(answer, (performance.now() - started) / 1000);
    say("");
  } catch (error) {
    if (current !== mine) return; // something else was chosen meanwhile
    current = before;
    mark();
    say("");
    throw new Error(t("gagal", { alasan: error.message }));
  }
};

const draw = (next) => {
  state = next;
  fill(document.getElementById("daftar-jawaban"), state.jawaban, (one) => answerRow(one, open), t("kosong.jawaban"));
  fill(document.getElementById("daftar-gempa"), state.gempa, (one) => quakeRow(one, open), t("kosong.gempa"));
  fill(document.getElementById("daftar-peringatan"), state.peringatan, (one) => warningRow(one, open), t("kosong.peringatan"));
  fill(document.getElementById("daftar-umpan"), state.umpan, feedRow, t("kosong.daftar"));
  if (ready) showEvents(map, state);
  const fresh = news.of(state);
  for (const one of fresh) announce(one.text, one.level, () => open(one.open), held() ? t("bunyi.terlewat") : "");
  if (fresh.length) play(fresh.some((one) => one.level === "berat") ? "alarm" : "chime");
  const newest = state.jawaban[0];
  const same = state.jawaban.find((one) => one.id === current?.name);
  if (same && same.versi !== current.version) open(same, { chosen: false });
  else if (follow && newest && newest.id !== current?.name) open(newest, { chosen: false });
  mark();
  tick();
  document.body.dataset.generation = state.generation;
  document.body.dataset.changes = String(Number(document.body.dataset.changes ?? 0) + 1);
};

const link = new Link(draw);
const stale = document.getElementById("usang");
setInterval(() => {
  link.look();
  tick();
  const cut = state && !state.katalog.terhubung;
  const old = link.lostAt !== null && link.receivedAt !== null;
  stale.hidden = !cut && !old;
  document.getElementById("umpan").toggleAttribute("data-lama", old); // whether a feed is on time is not known now
  const text = old ? t("sambung.usang", { umur: age(new Date(link.receivedAt).toISOString()) }) : cut ? t("katalog.putus") : "";
  if (stale.textContent !== text) stale.textContent = text;
}, 1000);

startSound();
startTabs();
startReports(() => current, failed);
const drawing = startDraw(map, compute);
document.getElementById("semua").addEventListener("click", () => {
  follow = false;
  current = null;
  mark();
  take(null);
  const [west, south, east, north] = config.bounds;
  const box = new maplibregl.LngLatBounds([west, south], [east, north]);
  for (const one of state?.gempa ?? []) box.extend([one.lon, one.lat]);
  map.fitBounds(box, { padding: 30 });
});
const whole = document.getElementById("layar");
whole.hidden = !document.fullscreenEnabled;
whole.addEventListener("click", () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()));
map.on("click", "gempa", (event) => {
  const found = state?.gempa.find((one) => one.id === event.features[0].properties.id);
  if (found && !drawing.drawing()) open(found);
});
map.on("load", () => {
  ready = true;
  if (state) showEvents(map, state);
  map.once("idle", () => { document.getElementById("map").dataset.ready = "true"; });
});
link.open();
window.kendali = { map, link, get current() { return current; }, get state() { return state; }, serverNow, show };
