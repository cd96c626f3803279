// Grafana's "add field from calculation".
import { find, nameOf, rowsOf, withFields, type Cell, type Field, type Frame } from './frames';
import { join } from './join';
import type { Json } from './model';
import { reduceCells, reducerName } from './reduce';

const BINARY: Record<string, (a: number, b: number) => Cell> = {
  '+': (a, b) => a + b, '-': (a, b) => a - b, '*': (a, b) => a * b, '/': (a, b) => a / b, '%': (a, b) => a % b, '**': (a, b) => a ** b, '^': (a, b) => a ** b,
  '==': (a, b) => a === b, '!=': (a, b) => a !== b, '>': (a, b) => a > b, '>=': (a, b) => a >= b, '<': (a, b) => a < b, '<=': (a, b) => a <= b,
};
const UNARY: Record<string, (v: number) => number> = { abs: Math.abs, exp: Math.exp, ln: Math.log, floor: Math.floor, ceil: Math.ceil, round: Math.round };

// As in the language of the page: null counts as zero, what a join left open as no number.
const numeric = (v: Cell): number => Number(v);

// A name of a field, a fixed number, or (newer files) an object that says which of the two.
function side(x: Json, frame: Frame, frames: Frame[]): { label: string; at: (i: number) => Cell } | null {
  const named = typeof x === 'object' && x !== null ? (x.matcher?.id === 'byName' ? x.matcher.options : undefined) : x;
  const fixed = typeof x === 'object' && x !== null ? x.fixed : x;
  const field = named === undefined ? undefined : find(frame, String(named), frames);
  if (field) return { label: String(named), at: (i) => field.values[i] };
  const n = parseFloat(String(fixed ?? named ?? ''));
  return Number.isNaN(n) ? null : { label: String(fixed ?? named), at: () => n };
}

function chosenField(name: string | undefined, frame: Frame, frames: Frame[]): Field | undefined {
  return name ? find(frame, name, frames) : frame.fields.find((f) => f.type === 'number');
}

interface Made {
  name: string;
  values: Cell[];
}

function make(o: Json, frame: Frame, frames: Frame[]): Made | null {
  const rows = Array.from({ length: rowsOf(frame) }, (_, i) => i);
  switch (o.mode ?? 'reduceRow') {
    case 'reduceRow': {
      const include: string[] = o.reduce?.include ?? [];
      const how = o.reduce?.reducer ?? 'sum';
      const list = frame.fields.filter((f) => (include.length > 0 ? include.includes(nameOf(f, frame, frames)) || include.includes(f.name) : f.type === 'number'));
      // Missing values are counted here: a row has as many as it has columns.
      return { name: reducerName(how), values: rows.map((i) => (how === 'count' ? list.length : reduceCells(list.map((f) => f.values[i]), how))) };
    }
    case 'binary': {
      const a = side(o.binary?.left, frame, frames);
      const b = side(o.binary?.right, frame, frames);
      const op = o.binary?.operator ?? '+';
      const calc = BINARY[op];
      return a && b && calc ? { name: `${a.label} ${op} ${b.label}`, values: rows.map((i) => calc(numeric(a.at(i)), numeric(b.at(i)))) } : null;
    }
    case 'unary': {
      const name = o.unary?.fieldName;
      const f = name ? find(frame, name, frames) : undefined;
      const how: string = o.unary?.operator ?? 'abs';
      if (!f || f.type !== 'number' || f.values.length === 0) return null;
      const total = f.values.reduce((s: number, v) => (typeof v === 'number' && Number.isFinite(v) ? s + v : s), 0) || 1;
      const calc = how === 'percent' ? (v: number) => v / total : UNARY[how];
      return calc ? { name: `${how}(${name})`, values: f.values.map((v) => calc(numeric(v))) } : null;
    }
    case 'cumulativeFunctions': {
      const f = chosenField(o.cumulative?.field, frame, frames);
      const how = o.cumulative?.reducer ?? 'sum';
      let total = 0;
      return f ? { name: `cumulative ${how}${o.cumulative?.field ? `(${o.cumulative.field})` : ''}`, values: f.values.map((v, i) => ((total += numeric(v ?? 0)), how === 'mean' ? total / (i + 1) : total)) } : null;
    }
    case 'windowFunctions': {
      const f = chosenField(o.window?.field, frame, frames);
      if (!f) return null;
      const how = o.window?.reducer ?? 'mean';
      const size = Math.max(1, Math.ceil((o.window?.windowSize ?? 0.1) * (o.window?.windowSizeMode === 'fixed' ? 1 : f.values.length)));
      const centred = o.window?.windowAlignment === 'centered';
      const values = f.values.map((_, i): Cell => {
        const from = Math.max(0, centred ? i - Math.floor(size / 2) : i - size + 1);
        const to = centred ? i + Math.ceil(size / 2) : i + 1;
        return reduceCells(f.values.slice(from, to), how) ?? 0;
      });
      return { name: `${o.window?.windowAlignment ?? 'trailing'} moving ${how}${o.window?.field ? `(${o.window.field})` : ''}`, values };
    }
    case 'index':
      return { name: o.alias || 'Row', values: rows.map((i) => (o.index?.asPercentile ? i / rows.length : i)) };
  }
  return null;
}

export function calculateField(o: Json, input: Frame[]): Frame[] {
  const right = o.binary?.right;
  const fixed = o.mode === 'binary' && !Number.isNaN(Number(typeof right === 'object' && right !== null ? right.fixed : right));
  const series = input.length > 1 && input.every((f) => f.fields.some((x) => x.type === 'time'));
  // Over several series the rows must be of one time first.
  const frames = o.timeSeries !== false && !fixed && series ? join({}, input) : input;
  const byType = o.mode === 'binary' && o.binary?.left?.matcher?.id === 'byType';
  return frames.flatMap((frame) => {
    const time = frame.fields.find((f) => f.type === 'time');
    const begun = o.replaceFields ? (time && o.timeSeries !== false && o.mode !== 'index' ? [time] : []) : frame.fields;
    if (byType) {
      const b = side(o.binary.right, frame, frames);
      const op = o.binary.operator ?? '+';
      if (!b || !BINARY[op]) return [frame];
      // Each result stands behind its field.
      const made = (f: Field): Field => ({ ...f, name: `${f.name} ${op} ${b.label}`, shown: f.shown === undefined ? undefined : `${f.shown} ${op} ${b.label}`, values: f.values.map((v, i) => BINARY[op](numeric(v), numeric(b.at(i)))) });
      const meant = (f: Field): boolean => f.type === o.binary.left.matcher.options;
      if (o.replaceFields && !frame.fields.some(meant)) return [];
      return [withFields(frame, [...begun.filter((f) => f.type === 'time' && o.replaceFields), ...frame.fields.flatMap((f) => [...(o.replaceFields ? [] : [f]), ...(meant(f) ? [made(f)] : [])])])];
    }
    const made = make(o, frame, frames);
    if (!made) return o.replaceFields ? [] : [frame];
    const boolean = made.values.some((v) => typeof v === 'boolean');
    return [withFields(frame, [...begun, { name: o.alias || made.name, shown: o.alias || undefined, type: boolean ? 'boolean' : 'number', values: made.values, config: o.mode === 'index' && o.index?.asPercentile ? { unit: 'percentunit' } : undefined }])];
  });
}
