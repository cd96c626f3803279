// Where panels lie: Grafana's grid of 24 columns. Repeats push what is below them down, and what would lie on
// something else moves down until it does not.
import type { Panel } from './model';
import { ALL, type Scope } from './interpolate';

export interface Placed {
  panel: Panel;
  local: Record<string, string>;
  repeat?: string;
  grid: Panel['grid'];
}

// The values that a repeat goes through.
export function chosen(scope: Scope, name: string): string[] {
  const c = Object.hasOwn(scope, name) ? scope[name] : undefined;
  if (!c) return [];
  return c.values[0] === ALL ? c.options.map((o) => o.value).filter((v) => v !== ALL) : c.values;
}

const COLUMNS = 24;

const meet = (a: Panel['grid'], b: Panel['grid']): boolean => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

// In the order given, each as high as its place says and lower only where that is taken.
export function apart(list: Placed[]): Placed[] {
  const out: Placed[] = [];
  for (const one of list) {
    const grid = { ...one.grid, w: Math.max(1, Math.min(COLUMNS, one.grid.w)), h: Math.max(1, one.grid.h) };
    grid.x = Math.max(0, Math.min(COLUMNS - grid.w, grid.x));
    for (let hit = out.find((o) => meet(o.grid, grid)); hit; hit = out.find((o) => meet(o.grid, grid))) grid.y = hit.grid.y + hit.grid.h;
    out.push({ ...one, grid });
  }
  return out;
}

// The panels of one row, those that repeat once for each value. A panel that repeats by what its row repeats by
// is in each of those rows once.
export function place(panels: Panel[], scope: Scope, local: Record<string, string>): Placed[] {
  const list: Placed[] = [];
  let push = 0;
  const base = panels.length > 0 ? Math.min(...panels.map((p) => p.grid.y)) : 0;
  for (const panel of panels) {
    const values = panel.repeat === '' || local[panel.repeat] !== undefined ? [] : chosen(scope, panel.repeat);
    if (values.length === 0) {
      list.push({ panel, local, grid: { ...panel.grid, y: panel.grid.y - base + push } });
      continue;
    }
    const down = panel.repeatDirection === 'v';
    const across = down ? 1 : Math.min(panel.maxPerRow, values.length);
    const w = down ? panel.grid.w : Math.floor(COLUMNS / across);
    values.forEach((v, i) => {
      list.push({ panel, local: { ...local, [panel.repeat]: v }, repeat: v, grid: { x: down ? panel.grid.x : (i % across) * w, y: panel.grid.y - base + push + Math.floor(i / across) * panel.grid.h, w, h: panel.grid.h } });
    });
    push += (Math.ceil(values.length / across) - 1) * panel.grid.h;
  }
  return apart(list);
}
