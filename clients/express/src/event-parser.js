/** Owns the reading of server-sent events, as the HTML standard has them. */

/** Takes a stream's text in pieces, and gives its events whole. */
export class EventParser {
  #onEvent;
  #rest = "";
  #event = "";
  #data = [];

  /** The last event's id. */
  lastId = "";

  /** @param {(kind: string, data: string) => void} onEvent Called with each event. */
  constructor(onEvent) {
    this.#onEvent = onEvent;
  }

  /** Take the next piece. */
  push(text) {
    const lines = (this.#rest + text).split(/\r\n|\n/);
    this.#rest = lines.pop();
    for (const line of lines) {
      this.#take(line);
    }
  }

  #take(line) {
    if (line === "") {
      if (this.#data.length > 0) {
        this.#onEvent(this.#event || "message", this.#data.join("\n"));
      }
      this.#event = "";
      this.#data = [];
      return;
    }
    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") {
      this.#event = value;
    } else if (field === "data") {
      this.#data.push(value);
    } else if (field === "id" && !value.includes("\0")) {
      this.lastId = value;
    }
  }
}
