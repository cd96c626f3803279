// Grafana's expressions: queries of a panel that compute from other queries what no server is asked for.
// Math, reduce, resample, threshold and the conditions of old alerts. SQL is not among them.
import type { Json } from './model';

// A series has a time for each value; a number has none and one value.
export interface Item {
  labels: Record<string, string>;
  times: number[] | null; // Milliseconds.
  values: (number | null)[];
}

export class ExpressionError extends Error {}

const FUNCTIONS: Record<string, (v: number | null) => number | null> = {
  abs: (v) => (v === null ? null : Math.abs(v)),
  log: (v) => (v === null ? null : Math.log(v)),
  round: (v) => (v === null ? null : Math.sign(v) * Math.round(Math.abs(v))),
  ceil: (v) => (v === null ? null : Math.ceil(v)),
  floor: (v) => (v === null ? null : Math.floor(v)),
  is_nan: (v) => Number(v !== null && Number.isNaN(v)),
  is_inf: (v) => Number(v === Infinity || v === -Infinity),
  is_null: (v) => Number(v === null),
  is_number: (v) => Number(v !== null && Number.isFinite(v)),
};
const CONSTANTS: Record<string, number | null> = { nan: NaN, inf: Infinity, infn: -Infinity, null: null };

const OPERATORS: Record<string, (a: number, b: number) => number> = {
  '+': (a, b) => a + b, '-': (a, b) => a - b, '*': (a, b) => a * b, '/': (a, b) => a / b, '%': (a, b) => a % b, '**': (a, b) => a ** b,
  '==': (a, b) => Number(a === b), '!=': (a, b) => Number(a !== b), '>': (a, b) => Number(a > b), '<': (a, b) => Number(a < b), '>=': (a, b) => Number(a >= b), '<=': (a, b) => Number(a <= b),
  '&&': (a, b) => Number(a !== 0 && b !== 0), '||': (a, b) => Number(a !== 0 || b !== 0),
};
// From the loosest.
const LEVELS = [['||'], ['&&'], ['==', '!=', '>', '>=', '<', '<='], ['+', '-'], ['*', '/', '%'], ['**']];

type Node =
  | { kind: 'number'; value: number | null }
  | { kind: 'query'; refId: string }
  | { kind: 'call'; name: string; of: Node }
  | { kind: 'unary'; operator: '-' | '!'; of: Node }
  | { kind: 'binary'; operator: string; left: Node; right: Node };

const TOKEN = /\s*(?:(0[xX][0-9a-fA-F]+|\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?)|\$\{([^}]+)\}|\$(\w+)|([a-zA-Z_]\w*)|(\*\*|==|!=|>=|<=|&&|\|\||[-+*/%<>!(),]))/y;
const DEEPEST = 100;

export function parseMath(text: string): Node {
  const tokens: { kind: 'number' | 'query' | 'word' | 'sign'; text: string }[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const from = TOKEN.lastIndex;
    const m = TOKEN.exec(text);
    if (!m) throw new ExpressionError(`expression: unexpected “${text.slice(from).trim().slice(0, 20)}” in “${text}”`);
    tokens.push(m[1] !== undefined ? { kind: 'number', text: m[1] } : (m[2] ?? m[3]) !== undefined ? { kind: 'query', text: m[2] ?? m[3] } : m[4] !== undefined ? { kind: 'word', text: m[4] } : { kind: 'sign', text: m[5] });
  }
  let at = 0;
  let depth = 0;
  const sign = (s: string): boolean => tokens[at]?.kind === 'sign' && tokens[at].text === s && ++at > 0;
  const need = (s: string): void => {
    if (!sign(s)) throw new ExpressionError(`expression: “${s}” expected ${tokens[at] ? `before “${tokens[at].text}”` : 'at the end'} of “${text}”`);
  };
  const primary = (): Node => {
    const t = tokens[at++];
    if (!t) throw new ExpressionError(`expression: “${text}” ends too early`);
    if (++depth > DEEPEST) throw new ExpressionError(`expression: more than ${DEEPEST} levels in “${text.slice(0, 40)}…”`);
    let made: Node;
    if (t.kind === 'number') made = { kind: 'number', value: Number(t.text) };
    else if (t.kind === 'query') made = { kind: 'query', refId: t.text };
    else if (t.text === '-' || t.text === '!') made = { kind: 'unary', operator: t.text, of: primary() };
    else if (t.text === '(') {
      made = binary(0);
      need(')');
    } else if (t.kind === 'word') {
      need('(');
      if (Object.hasOwn(CONSTANTS, t.text)) made = { kind: 'number', value: CONSTANTS[t.text] };
      else if (Object.hasOwn(FUNCTIONS, t.text)) made = { kind: 'call', name: t.text, of: binary(0) };
      else throw new ExpressionError(`expression: unknown function “${t.text}”`);
      need(')');
    } else throw new ExpressionError(`expression: unexpected “${t.text}” in “${text}”`);
    depth--;
    return made;
  };
  const binary = (level: number): Node => {
    if (level === LEVELS.length) return primary();
    let left = binary(level + 1);
    while (tokens[at]?.kind === 'sign' && LEVELS[level].includes(tokens[at].text)) {
      const operator = tokens[at++].text;
      left = { kind: 'binary', operator, left, right: binary(level + 1) };
    }
    return left;
  };
  const tree = binary(0);
  if (at < tokens.length) throw new ExpressionError(`expression: unexpected “${tokens[at].text}” in “${text}”`);
  return tree;
}

function queriesIn(n: Node): string[] {
  switch (n.kind) {
    case 'query': return [n.refId];
    case 'call':
    case 'unary': return queriesIn(n.of);
    case 'binary': return [...queriesIn(n.left), ...queriesIn(n.right)];
  }
  return [];
}

const plainRef = (x: Json): string => String(x ?? '').trim().replace(/^\$\{?|\}$/g, '');

// The queries that an expression computes from.
export function needs(e: Json): string[] {
  if (e.type === 'math') {
    try {
      return queriesIn(parseMath(String(e.expression ?? '')));
    } catch {
      return []; // Computing it says what is wrong.
    }
  }
  if (e.type === 'classic_conditions') return (Array.isArray(e.conditions) ? e.conditions : []).map((c: Json) => plainRef(c?.query?.params?.[0])).filter((r: string) => r !== '');
  const ref = plainRef(e.expression);
  return ref === '' ? [] : [ref];
}

// One of two sets of labels says all that the other says: they mean the same thing.
function together(a: Record<string, string>, b: Record<string, string>): Record<string, string> | null {
  const [small, large] = Object.keys(a).length <= Object.keys(b).length ? [a, b] : [b, a];
  return Object.entries(small).every(([k, v]) => large[k] === v) ? large : null;
}

function combine(calc: (a: number, b: number) => number, a: Item, b: Item, labels: Record<string, string>): Item {
  const of = (x: number | null, y: number | null): number | null => (x === null || y === null ? null : calc(x, y));
  if (a.times === null && b.times === null) return { labels, times: null, values: [of(a.values[0], b.values[0])] };
  if (a.times === null) return { labels, times: b.times, values: b.values.map((v) => of(a.values[0], v)) };
  if (b.times === null) return { labels, times: a.times, values: a.values.map((v) => of(v, b.values[0])) };
  // Only moments that both know.
  const at = new Map(b.times.map((t, i) => [t, b.values[i]]));
  const times = a.times.filter((t) => at.has(t));
  const mine = new Map(a.times.map((t, i) => [t, a.values[i]]));
  return { labels, times, values: times.map((t) => of(mine.get(t)!, at.get(t)!)) };
}

function math(n: Node, known: (refId: string) => Item[]): Item[] {
  switch (n.kind) {
    case 'number': return [{ labels: {}, times: null, values: [n.value] }];
    case 'query': return known(n.refId);
    case 'call': return math(n.of, known).map((i) => ({ ...i, values: i.values.map(FUNCTIONS[n.name]) }));
    case 'unary': return math(n.of, known).map((i) => ({ ...i, values: i.values.map((v) => (v === null ? null : n.operator === '-' ? -v : Number(v === 0))) }));
  }
  const left = math(n.left, known);
  const right = math(n.right, known);
  const calc = OPERATORS[n.operator];
  const out = left.flatMap((a) => right.flatMap((b) => {
    const labels = together(a.labels, b.labels);
    return labels === null ? [] : [combine(calc, a, b, labels)];
  }));
  return out.length === 0 && left.length === 1 && right.length === 1 ? [combine(calc, left[0], right[0], {})] : out;
}

// Grafana's reducers on the server: a missing value makes the result missing, unless the mode says otherwise.
function reduceItem(item: Item, how: string, settings: Json): number | null {
  let list: (number | null)[] = item.values;
  const bad = (v: number | null): boolean => v === null || !Number.isFinite(v);
  if (settings?.mode === 'dropNN') list = list.filter((v) => !bad(v));
  else if (settings?.mode === 'replaceNN') list = list.map((v) => (bad(v) ? Number(settings.replaceWithValue ?? 0) : v));
  const id = how === 'avg' ? 'mean' : how;
  if (id === 'count') return list.length;
  if (list.length === 0) return id === 'sum' ? 0 : NaN;
  if (id === 'last') return list[list.length - 1];
  if (id === 'count_non_null') return list.filter((v) => !bad(v)).length;
  if (list.some((v) => v === null || Number.isNaN(v))) return NaN;
  const numbers = list as number[];
  const sum = numbers.reduce((a, b) => a + b, 0);
  switch (id) {
    case 'sum': return sum;
    case 'mean': return sum / numbers.length;
    case 'min': return numbers.reduce((a, b) => Math.min(a, b));
    case 'max': return numbers.reduce((a, b) => Math.max(a, b));
    case 'diff': return numbers[numbers.length - 1] - numbers[0];
    case 'diff_abs': return Math.abs(numbers[numbers.length - 1] - numbers[0]);
    case 'percent_diff': return (100 * (numbers[numbers.length - 1] - numbers[0])) / Math.abs(numbers[0]);
    case 'percent_diff_abs': return Math.abs((100 * (numbers[numbers.length - 1] - numbers[0])) / numbers[0]);
    case 'median': {
      const s = numbers.slice().sort((a, b) => a - b);
      return s.length % 2 === 1 ? s[(s.length - 1) / 2] : (s[s.length / 2 - 1] + s[s.length / 2]) / 2;
    }
  }
  throw new ExpressionError(`expression: unknown reducer “${how}”`);
}

function fires(evaluator: Json, v: number | null): boolean {
  const [a, b] = (Array.isArray(evaluator?.params) ? evaluator.params : []).map(Number);
  if (v === null || Number.isNaN(v)) return evaluator?.type === 'no_value';
  switch (evaluator?.type) {
    case 'gt': return v > a;
    case 'lt': return v < a;
    case 'gte': return v >= a;
    case 'lte': return v <= a;
    case 'eq': return v === a;
    case 'ne': return v !== a;
    case 'within_range': return v > Math.min(a, b) && v < Math.max(a, b);
    case 'within_range_included': return v >= Math.min(a, b) && v <= Math.max(a, b);
    case 'outside_range': return v < Math.min(a, b) || v > Math.max(a, b);
    case 'outside_range_included': return v <= Math.min(a, b) || v >= Math.max(a, b);
    case 'no_value': return false;
  }
  throw new ExpressionError(`expression: unknown condition “${String(evaluator?.type)}”`);
}

const MOST_POINTS = 20_000;

function resample(item: Item, windowMs: number, e: Json, from: number, to: number): Item {
  if (item.times === null) throw new ExpressionError('expression: only series can be resampled, not numbers');
  if (!(windowMs > 0) || (to - from) / windowMs > MOST_POINTS) throw new ExpressionError(`expression: a window of “${String(e.window)}” makes more than ${MOST_POINTS} points, or none`);
  const times: number[] = [];
  const values: (number | null)[] = [];
  let i = 0;
  let last: number | null = null;
  for (let t = from; t <= to; t += windowMs) {
    const inside: (number | null)[] = [];
    while (i < item.times.length && item.times[i] <= t) {
      last = item.values[i];
      inside.push(item.values[i++]);
    }
    let v: number | null = null;
    if (inside.length > 0) v = reduceItem({ ...item, values: inside }, e.downsampler ?? 'mean', { mode: 'dropNN' });
    else if (e.upsampler === 'pad') v = last;
    else if (e.upsampler === 'backfilling') v = item.values[i] ?? null;
    times.push(t);
    values.push(v !== null && Number.isNaN(v) ? null : v);
  }
  return { labels: item.labels, times, values };
}

// What an expression makes of the queries it names. `duration` reads "10s" and variables, in milliseconds.
export function compute(e: Json, known: (refId: string) => Item[], range: { from: number; to: number }, duration: (text: string) => number): Item[] {
  const of = (): Item[] => known(plainRef(e.expression));
  switch (e.type) {
    case 'math': return math(parseMath(String(e.expression ?? '')), known);
    case 'reduce': return of().map((i) => ({ labels: i.labels, times: null, values: [reduceItem(i, String(e.reducer ?? 'mean'), e.settings)] }));
    case 'resample': return of().map((i) => resample(i, duration(String(e.window ?? '')), e, range.from, range.to));
    case 'threshold': {
      const evaluator = e.conditions?.[0]?.evaluator;
      return of().map((i) => ({ ...i, values: i.values.map((v) => Number(fires(evaluator, v))) }));
    }
    case 'classic_conditions': {
      const list: Json[] = Array.isArray(e.conditions) ? e.conditions : [];
      const truth = list.reduce((so: boolean | null, c: Json) => {
        const now = known(plainRef(c?.query?.params?.[0])).some((i) => fires(c.evaluator, reduceItem(i, String(c.reducer?.type ?? 'avg'), { mode: 'dropNN' })));
        return so === null ? now : c.operator?.type === 'or' ? so || now : so && now;
      }, null);
      return [{ labels: {}, times: null, values: [Number(truth ?? false)] }];
    }
  }
  throw new ExpressionError(`expression: “${String(e.type ?? 'none')}” is not available here`);
}
