// The line to the server: server-sent events with a reconnection of our own, a watchdog, and asking
// from time to time where no stream comes through. Holds one connection and one timer, never more.
import { address, config, lang, t } from "../viewer/setup.js";
import { hour, serverNow, setServerTime } from "./clock.js";

const SILENCE = config.beat * 3000; // the server says something every `beat` seconds
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 30_000;
const POLL = (config.beat * 2000) / 3; // 10 s
const FIRST_WORD = 15_000; // the server speaks at once; a proxy that holds the stream back says nothing
const TRIES_BEFORE_POLL = 1;
const SLEPT = 90_000; // we look each second, once a minute in a hidden tab: after such a gap we have slept

export class Link {
  constructor(onState) {
    this.onState = onState;
    this.source = null;
    this.timer = 0;
    this.watchdog = 0;
    this.tries = 0;
    this.lastId = "";
    this.lostAt = null;
    this.receivedAt = null;
    this.polling = false;
    this.turn = 0; // what an older turn was waiting for does not matter any more
    this.looked = [performance.now(), Date.now()];
    this.label = document.getElementById("sambungan");
    addEventListener("online", () => this.open());
    addEventListener("pagehide", () => this.close());
    addEventListener("pageshow", (event) => { if (event.persisted) this.open(); });
  }

  // Called each second. A computer that slept holds a dead line and a clock that stood still, and no
  // timer of ours has run meanwhile: do not wait for the watchdog, the data may be hours old.
  look() {
    const now = [performance.now(), Date.now()];
    const slept = now.some((at, which) => Math.abs(at - this.looked[which]) > SLEPT);
    this.looked = now;
    if (!slept) return;
    this.#show("menyambung", t("sambung.menyambung"));
    this.open();
  }

  close() {
    this.turn += 1;
    clearTimeout(this.timer);
    clearTimeout(this.watchdog);
    this.source?.close();
    this.source = null;
  }

  open() {
    this.close();
    // a new EventSource can not send Last-Event-ID; the state is compared by its id when it comes
    const source = new EventSource(address("/kendali/stream", { lang }));
    this.source = source;
    this.#feedWatchdog(this.polling ? POLL : FIRST_WORD);
    source.addEventListener("beat", (event) => { if (this.source === source) { setServerTime(event.data); this.#alive(); } });
    source.addEventListener("state", (event) => {
      if (this.source !== source) return;
      this.#alive();
      this.#take(event.lastEventId, event.data);
    });
    source.onerror = () => { if (this.source === source) this.#lost(); };
  }

  #take(id, text) {
    this.receivedAt = serverNow();
    if (id && id === this.lastId) return;
    this.lastId = id;
    this.onState(JSON.parse(text));
  }

  #feedWatchdog(limit = SILENCE) {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => this.#lost(true), limit);
  }

  #alive() {
    this.tries = 0;
    this.polling = false;
    this.lostAt = null;
    this.receivedAt = serverNow();
    this.#show("tersambung", t("sambung.tersambung"));
    this.#feedWatchdog();
  }

  // `silent`: nothing came within the time that we wait.
  #lost(silent = false) {
    this.close();
    if (this.polling) { this.#poll(silent ? 0 : POLL); return; } // still no stream: ask at once
    this.lostAt ??= serverNow();
    this.tries += 1;
    this.#show("terputus", t("sambung.terputus", { jam: hour(this.lostAt) }));
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** Math.min(this.tries - 1, 5)) * (0.75 + Math.random() / 2);
    this.timer = setTimeout(() => (this.tries > TRIES_BEFORE_POLL ? this.#poll() : this.open()), wait);
  }

  // Where a proxy lets no stream through, the state is asked for; each time the stream is tried first,
  // at once when the try itself takes as long as we wait between two.
  async #poll(pause = 0) {
    const mine = this.turn;
    const abort = new AbortController();
    const limit = setTimeout(() => abort.abort(), 20_000);
    try {
      const answer = await fetch(address("/kendali/state", { lang }), { signal: abort.signal });
      if (!answer.ok) throw new Error(String(answer.status));
      const text = await answer.text();
      if (mine !== this.turn) return;
      const date = answer.headers.get("date");
      if (date) setServerTime(new Date(date).toISOString());
      this.#take((answer.headers.get("etag") ?? "").replaceAll('"', "").replace(/-(br|gzip)$/, ""), text);
      this.lostAt = null;
      this.tries = 0;
      this.polling = true;
      this.#show("tanya", t("sambung.tanya", { detik: Math.round(POLL / 1000) }));
      this.timer = setTimeout(() => this.open(), pause);
    } catch {
      if (mine !== this.turn) return;
      this.polling = false;
      this.#lost();
    } finally { clearTimeout(limit); }
  }

  #show(state, text) {
    if (this.label.dataset.state !== state) this.label.dataset.state = state;
    if (this.label.textContent !== text) this.label.textContent = text;
  }
}
