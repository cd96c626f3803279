// What is left of many values: Grafana's calculations, by Grafana's ids.

// Undefined: a join had no row for it. Calculations tell it from null, which counts as zero.
export type Cell = string | number | boolean | null | undefined;

export const REDUCER_NAMES: Record<string, string> = {
  lastNotNull: 'Last *', last: 'Last', firstNotNull: 'First *', first: 'First', min: 'Min', max: 'Max', mean: 'Mean', median: 'Median', variance: 'Variance', stdDev: 'StdDev', sum: 'Total',
  count: 'Count', countAll: 'Count all', range: 'Range', delta: 'Delta', step: 'Step', diff: 'Difference', logmin: 'Min (above zero)', allIsZero: 'All Zeros', allIsNull: 'All Nulls',
  changeCount: 'Change Count', distinctCount: 'Distinct Count', diffperc: 'Difference percent', allValues: 'All values', uniqueValues: 'All unique values',
};

// The words of Grafana before 7 for the same things.
const OLD: Record<string, string> = { current: 'lastNotNull', avg: 'mean', total: 'sum' };
export const reducerId = (name: string): string => OLD[name] ?? name;

export function reducerName(id: string): string {
  const p = /^p(\d+)$/.exec(id);
  return p ? `${p[1]}${Number(p[1]) % 10 === 1 && p[1] !== '11' ? 'st' : Number(p[1]) % 10 === 2 && p[1] !== '12' ? 'nd' : Number(p[1]) % 10 === 3 && p[1] !== '13' ? 'rd' : 'th'} %` : (REDUCER_NAMES[id] ?? id);
}

const known = (v: Cell | undefined): boolean => v !== null && v !== undefined && !Number.isNaN(v);

// Null: there was nothing to reduce. Text reduces too where order and counting are enough.
export function reduceCells(values: readonly Cell[], how: string): Cell {
  const id = reducerId(how);
  if (values.length === 0) return /^(sum|count|countAll)$/.test(id) ? 0 : id === 'allIsZero' ? false : id === 'allIsNull' ? true : null;
  const list = values.filter(known) as (string | number | boolean)[];
  switch (id) {
    case 'last': return values.length > 0 ? values[values.length - 1] : null;
    case 'first': return values.length > 0 ? values[0] : null;
    case 'lastNotNull': return list.length > 0 ? list[list.length - 1] : null;
    case 'firstNotNull': return list.length > 0 ? list[0] : null;
    case 'countAll': return values.length;
    case 'count': return values.filter((v) => v !== null && v !== undefined).length;
    case 'distinctCount': return new Set(values.filter((v) => v !== null && v !== undefined)).size;
    case 'changeCount': {
      const seen = values.filter((v) => v !== null && v !== undefined);
      return seen.filter((v, i) => i > 0 && v !== seen[i - 1]).length;
    }
    case 'allIsNull': return list.length === 0;
    // A value that is no number spoils these, as in Grafana; the others pass over it.
    case 'variance':
    case 'stdDev':
      if (values.some((v) => Number.isNaN(v))) return NaN;
      break;
    case 'allValues': return values.map((v) => v ?? '').join(', ');
    case 'uniqueValues': return [...new Set(values)].map((v) => v ?? '').join(', ');
  }
  return reduceNumbers(list.filter((v): v is number => typeof v === 'number'), id);
}

function reduceNumbers(list: number[], id: string): Cell {
  const n = list.length;
  const sum = (): number => list.reduce((a, b) => a + b, 0);
  const lowest = (l: number[]): number | null => (l.length > 0 ? l.reduce((a, b) => Math.min(a, b)) : null);
  const highest = (l: number[]): number | null => (l.length > 0 ? l.reduce((a, b) => Math.max(a, b)) : null);
  const percentile = (p: number): number | null => (n === 0 ? null : list.slice().sort((a, b) => a - b)[Math.round((n - 1) * p)]);
  const p = /^p(\d{1,2})$/.exec(id);
  if (p) return percentile(Number(p[1]) / 100);
  switch (id) {
    case 'min': return lowest(list);
    case 'max': return highest(list);
    case 'logmin': return lowest(list.filter((v) => v > 0)) ?? Number.MAX_VALUE;
    case 'mean': return n > 0 ? sum() / n : null;
    case 'sum': return sum();
    case 'range': return n > 0 ? highest(list)! - lowest(list)! : null;
    case 'diff': return n > 0 ? list[n - 1] - list[0] : null;
    case 'diffperc': return n > 0 ? ((list[n - 1] - list[0]) / list[0]) * 100 : 0;
    case 'step': return lowest(list.slice(1).map((v, i) => v - list[i]));
    case 'allIsZero': return n > 0 && list.every((v) => v === 0);
    case 'median': {
      const s = list.slice().sort((a, b) => a - b);
      return n === 0 ? NaN : n % 2 === 1 ? s[(n - 1) / 2] : (s[n / 2 - 1] + s[n / 2]) / 2;
    }
    case 'delta': {
      // A counter's growth. After a fall the first rise is not counted: it starts from the reset.
      let total = 0;
      let rising = true;
      for (let i = 1; i < n; i++) {
        if (list[i] < list[i - 1]) rising = false;
        else {
          if (rising) total += list[i] - list[i - 1];
          rising = true;
        }
      }
      return total;
    }
    case 'variance':
    case 'stdDev': {
      if (n === 0) return 0;
      const mean = sum() / n;
      const variance = list.reduce((a, v) => a + (v - mean) ** 2, 0) / n;
      return id === 'stdDev' ? Math.sqrt(variance) : variance;
    }
  }
  return n > 0 ? list[n - 1] : null;
}

// The number of a panel that shows numbers.
export function reduce(values: readonly (number | null)[], how: string): number | null {
  const got = reduceCells(values, how);
  return typeof got === 'number' ? got : typeof got === 'boolean' ? Number(got) : got === null || got === undefined ? null : Number(got);
}
