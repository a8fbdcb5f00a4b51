/*
 * What differs between two texts, in words. Pages share it as `Tiebreak.diffWords`: scripts cannot
 * import each other, because the names of static files are hashed.
 *
 * Myers' O(ND) in linear space ("An O(ND) Difference Algorithm and Its Variations", 1986, section
 * 4b). A search that has gone on for `most` edits is cut at the point that got furthest, so the work
 * is bounded by (N + M) · most whatever the texts are; the result is then valid, not shortest.
 */

const WORK = 16_000_000; // steps: a quarter of a second or so
// Han, kana and Thai have no spaces between words: there a character is a word.
const ALONE = String.raw`\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}`;
const EMOJI = String.raw`\p{ExtPict}(?:\p{EMod}|\uFE0F|\u200D\p{ExtPict})*`;
const TOKEN = new RegExp(
  String.raw`${EMOJI}|[${ALONE}]\p{M}*|(?:(?![${ALONE}])[\p{L}\p{M}\p{N}_'’\u200C\u200D])+|\s+|[^]`,
  "gu",
);

const tokens = (text) => text.match(TOKEN) ?? [];

/** Each different token as a number, so that comparing is cheap. */
function numbered(lists) {
  const known = new Map();
  return lists.map((list) =>
    Int32Array.from(list, (token) => {
      if (!known.has(token)) known.set(token, known.size);
      return known.get(token);
    }),
  );
}

/** A point through which a short path from corner to corner runs; it is never a corner. */
function middle(a, aFrom, aTo, b, bFrom, bTo, ahead, back, most) {
  const n = aTo - aFrom;
  const m = bTo - bFrom;
  const delta = n - m;
  const zero = ahead.length >> 1;
  ahead[zero + 1] = 0;
  back[zero + 1] = 0;
  for (let d = 0; ; d += 1) {
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && ahead[zero + k - 1] < ahead[zero + k + 1]);
      let x = down ? ahead[zero + k + 1] : ahead[zero + k - 1] + 1;
      while (x < n && x - k < m && a[aFrom + x] === b[bFrom + x - k]) x += 1;
      ahead[zero + k] = x;
      const other = delta - k;
      if (delta % 2 !== 0 && Math.abs(other) < d && x + back[zero + other] >= n) return [x, x - k];
    }
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && back[zero + k - 1] < back[zero + k + 1]);
      let x = down ? back[zero + k + 1] : back[zero + k - 1] + 1;
      while (x < n && x - k < m && a[aTo - 1 - x] === b[bTo - 1 - x + k]) x += 1;
      back[zero + k] = x;
      const other = delta - k;
      if (delta % 2 === 0 && Math.abs(other) <= d && x + ahead[zero + other] >= n) return [n - x, m - x + k];
    }
    if (d >= most) return furthest(ahead, zero, d, n, m);
  }
}

/** Where the search forward got furthest, inside both texts. */
function furthest(ahead, zero, d, n, m) {
  let best = [0, 0];
  for (let k = -d; k <= d; k += 2) {
    const x = Math.min(ahead[zero + k], n);
    const y = x - k;
    if (y >= 0 && y <= m && x + y > best[0] + best[1]) best = [x, y];
  }
  return best;
}

/** Mark in `gone` and `come` what is only in a, and only in b. */
function compare(a, b, gone, come) {
  const most = Math.round(Math.min(400, Math.max(24, WORK / (a.length + b.length + 1))));
  const ahead = new Int32Array(2 * most + 8);
  const back = new Int32Array(2 * most + 8);
  const todo = [[0, a.length, 0, b.length]];
  while (todo.length) {
    let [aFrom, aTo, bFrom, bTo] = todo.pop();
    while (aFrom < aTo && bFrom < bTo && a[aFrom] === b[bFrom]) (aFrom += 1), (bFrom += 1);
    while (aFrom < aTo && bFrom < bTo && a[aTo - 1] === b[bTo - 1]) (aTo -= 1), (bTo -= 1);
    if (aFrom === aTo) come.fill(1, bFrom, bTo);
    else if (bFrom === bTo) gone.fill(1, aFrom, aTo);
    else {
      const [x, y] = middle(a, aFrom, aTo, b, bFrom, bTo, ahead, back, most);
      const stuck = (x === 0 && y === 0) || (x === aTo - aFrom && y === bTo - bFrom);
      if (stuck) {
        gone.fill(1, aFrom, aTo);
        come.fill(1, bFrom, bTo);
      } else {
        todo.push([aFrom + x, aTo, bFrom + y, bTo], [aFrom, aFrom + x, bFrom, bFrom + y]);
      }
    }
  }
}

/** Runs of words that stay, and between them what went with what came instead. */
function runs(a, b, gone, come) {
  const found = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const run = { same: "", del: "", ins: "" };
    while (i < a.length && j < b.length && !gone[i] && !come[j]) (run.same += a[i]), (i += 1), (j += 1);
    while (i < a.length && gone[i]) (run.del += a[i]), (i += 1);
    while (j < b.length && come[j]) (run.ins += b[j]), (j += 1);
    found.push(run);
  }
  return found;
}

/** A stray "the" or comma between two larger changes helps nobody: it becomes part of them. */
function joined(found) {
  const kept = [];
  for (const run of found) {
    const last = kept.at(-1);
    const changed = last && Math.max(last.del.length, last.ins.length);
    const after = Math.max(run.del.length, run.ins.length);
    const blank = !/\S/.test(run.same) && !run.same.includes("\n");
    const stray = blank ? changed && after : run.same.length * 2 <= Math.min(changed, after);
    if (last && run.same && changed && after && stray) {
      last.del += run.same + run.del;
      last.ins += run.same + run.ins;
    } else kept.push({ ...run });
  }
  return kept;
}

/**
 * The way from a to b: pieces of `same`, `del` (only in a) and `ins` (only in b), in order.
 * The pieces without `ins` are a, those without `del` are b, to the character.
 */
function diffWords(a, b) {
  const [left, right] = [tokens(a), tokens(b)];
  const [x, y] = numbered([left, right]);
  const [gone, come] = [new Uint8Array(x.length), new Uint8Array(y.length)];
  compare(x, y, gone, come);
  return joined(runs(left, right, gone, come)).flatMap((run) =>
    ["same", "del", "ins"].filter((op) => run[op]).map((op) => ({ op, text: run[op] })),
  );
}

globalThis.Tiebreak = { ...globalThis.Tiebreak, diffWords };
