/**
 * Which tracks are muted, solo, and how loud: one number per track, 0 to 1. Track ids are those of music.js.
 */

export class Mix {
  constructor() {
    this.clear();
  }

  /** Everything as loud as it is. */
  clear() {
    this.muted = new Set();
    this.solo = new Set();
    this.volumes = new Map();
    this._tracks = new Map(); // of a program, as "p24": the tracks of a file that play it
  }

  /** @param {string} id @param {boolean} muted */
  mute(id, muted) {
    this.muted[muted ? "add" : "delete"](id);
  }

  /** @param {string} id @param {boolean} only whether it is among those that alone are heard */
  soloed(id, only) {
    this.solo[only ? "add" : "delete"](id);
  }

  /** How loud a track was made, whether it is heard or not. @param {string} id */
  volume(id) {
    return this.volumes.get(id) ?? 1;
  }

  /** How loud a track is heard. @param {string} id */
  level(id) {
    if (this._tracks.has(id)) return Math.max(...this._tracks.get(id).map((track) => this.level(track)));
    return this.muted.has(id) || (this.solo.size > 0 && !this.solo.has(id)) ? 0 : this.volume(id);
  }

  /**
   * What was asked of a program while it was composed is asked of the tracks of a file that play it; and from now on, as long as the
   * program still sounds, it is as loud as they are.
   * @param {any} music
   */
  carry(music) {
    for (const track of music.tracks) {
      const told = `p${track.program}`;
      this._tracks.set(told, [...(this._tracks.get(told) || []), track.id]);
      for (const set of [this.muted, this.solo]) if (set.has(told)) set.add(track.id);
      if (this.volumes.has(told)) this.volumes.set(track.id, this.volumes.get(told));
    }
    for (const told of this._tracks.keys()) for (const kept of [this.muted, this.solo, this.volumes]) kept.delete(told);
  }
}
