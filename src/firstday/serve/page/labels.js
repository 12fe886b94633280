// Label placement on the map: greedy by priority, without overlaps of labels, dots or the visitor.

const GAP = 3;

/**
 * Place labels; those without room are omitted.
 * @param {{x: number, y: number, r: number, width: number, rank: number}[]} in pixels, by descending priority
 * @param {{x: number, y: number, r: number}[]} obstacles circles that no label may touch, except the label's own dot
 * @param {{width: number, height: number, line: number}} area in pixels; `line`: height of a label
 * @returns {({x: number, y: number, anchor: string} | null)[]} anchor on the label's centre line; null: no room
 */
export function placeNames(dots, obstacles, { width, height, line }) {
  const taken = [];
  return dots.map((dot) => {
    for (const [x, y, anchor] of around(dot, line)) {
      const left = anchor === "start" ? x : anchor === "end" ? x - dot.width : x - dot.width / 2;
      const box = { left, right: left + dot.width, top: y - line / 2, bottom: y + line / 2 };
      if (box.left < 2 || box.right > width - 2 || box.top < 2 || box.bottom > height - 2) continue;
      if (taken.some((other) => overlap(box, other))) continue;
      if (obstacles.some((circle) => circle !== dot.circle && touches(box, circle))) continue;
      taken.push(box);
      return { x, y, anchor };
    }
    return null;
  });
}

function around({ x, y, r }, line) {
  const away = r + GAP;
  return [
    [x + away, y, "start"],
    [x - away, y, "end"],
    [x, y - away - line / 2, "middle"],
    [x, y + away + line / 2, "middle"],
  ];
}

const overlap = (a, b) =>
  a.left < b.right + GAP && b.left < a.right + GAP && a.top < b.bottom + GAP && b.top < a.bottom + GAP;

function touches(box, { x, y, r }) {
  const dx = x - Math.max(box.left, Math.min(x, box.right));
  const dy = y - Math.max(box.top, Math.min(y, box.bottom));
  return dx * dx + dy * dy < (r + 1) ** 2;
}
