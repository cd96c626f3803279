// Ten hues of equal lightness in an order that neighbours differ for colour-blind eyes too, then the
// same with less chroma.
const HUES = [262, 55, 160, 330, 95, 210, 25, 290, 130, 0];

export function paint(index: number, darkTheme: boolean): string {
  const ring = Math.floor(index / HUES.length) % 3;
  const lightness = (darkTheme ? 0.74 : 0.56) - ring * 0.05;
  const chroma = (darkTheme ? 0.14 : 0.16) - ring * 0.035;
  return `oklch(${lightness.toFixed(2)} ${chroma.toFixed(3)} ${HUES[index % HUES.length]})`;
}

// FNV-1a, so that a label set has one colour on every page.
export function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

// Each key takes the colour of its hash; two that collide move the later one to the next free hue.
export function assign(keys: string[], darkTheme: boolean): string[] {
  const slots = 30;
  const used = new Set<number>();
  return keys.map((key) => {
    let slot = hash(key) % slots;
    if (keys.length <= 10) slot %= 10;
    const round = keys.length <= 10 ? 10 : slots;
    for (let tries = 0; tries < round && used.has(slot) && used.size < round; tries++) slot = (slot + 1) % round;
    used.add(slot);
    return paint(slot, darkTheme);
  });
}
