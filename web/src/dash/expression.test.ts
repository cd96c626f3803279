import { describe, expect, it } from 'vitest';
import { compute, needs, parseMath, type Item } from './expression';

const number = (value: number | null, labels: Record<string, string> = {}): Item => ({ labels, times: null, values: [value] });
const series = (values: (number | null)[], labels: Record<string, string> = {}, from = 0): Item => ({ labels, times: values.map((_, i) => (from + i) * 1000), values });
const known: Record<string, Item[]> = {
  A: [series([1, 2, 4], { host: 'a' }), series([10, 20, 40], { host: 'b' })],
  B: [number(2, { host: 'a' }), number(5, { host: 'b', rack: 'r' })],
  C: [number(100)],
  D: [series([1, null, 3, NaN])],
};
const run = (e: object): Item[] => compute(e, (ref) => known[ref] ?? [], { from: 0, to: 3000 }, (text) => ({ '2s': 2000 })[text] ?? 0);
const math = (expression: string): Item[] => run({ type: 'math', expression });
const value = (expression: string): number | null => math(expression)[0].values[0];

describe('math', () => {
  it('has the usual order', () => {
    expect(['1 + 2 * 3', '(1 + 2) * 3', '2 ** 3 ** 1', '-2 + 5', '!0', '10 % 4', '1e3 / 0x10', '2 > 1 && 0 || 1'].map(value)).toEqual([7, 9, 8, 3, 1, 2, 62.5, 1]);
  });
  it('knows its functions', () => {
    expect(['abs(-2)', 'round(2.5)', 'floor(-1.5)', 'ceil(1.2)', 'log(1)', 'is_nan(nan())', 'is_inf(infn())', 'is_null(null())', 'is_number(1)'].map(value)).toEqual([2, 3, -2, 2, 0, 1, 1, 1, 1]);
    expect(value('null() + 1')).toBe(null);
  });
  it('joins what has the same labels, or fewer of them', () => {
    expect(math('$A * $B').map((i) => [i.labels, i.values])).toEqual([[{ host: 'a' }, [2, 4, 8]], [{ host: 'b', rack: 'r' }, [50, 100, 200]]]);
    expect(math('${A} / $C * 100').map((i) => i.values)).toEqual([[1, 2, 4], [10, 20, 40]]);
    // One on each side needs no label in common.
    expect(compute({ type: 'math', expression: '$X + $Y' }, (r) => [number(r === 'X' ? 1 : 2, { [r]: '1' })], { from: 0, to: 1 }, () => 0)).toEqual([number(3)]);
  });
  it('takes only the moments that both have', () => {
    const out = compute({ type: 'math', expression: '$X - $Y' }, (r) => [r === 'X' ? series([5, 6, 7]) : series([1, 1], {}, 1)], { from: 0, to: 1 }, () => 0);
    expect(out).toEqual([{ labels: {}, times: [1000, 2000], values: [5, 6] }]);
  });
  it('says what is wrong', () => {
    for (const bad of ['', '1 +', '(1', '1 1', 'frob(1)', '$A ;', 'abs 1', '('.repeat(500)]) expect(() => math(bad), bad).toThrow(/expression/);
  });
});

describe('other expressions', () => {
  it('reduce', () => {
    const reduced = (reducer: string, settings?: object): (number | null)[] => run({ type: 'reduce', expression: 'A', reducer, settings }).map((i) => i.values[0]);
    expect([reduced('last'), reduced('mean'), reduced('min'), reduced('max'), reduced('sum'), reduced('count'), reduced('median')]).toEqual([[4, 40], [7 / 3, 70 / 3], [1, 10], [4, 40], [7, 70], [3, 3], [2, 20]]);
    const gaps = (settings?: object): number | null => run({ type: 'reduce', expression: '$D', reducer: 'sum', settings })[0].values[0];
    expect([gaps(), gaps({ mode: 'dropNN' }), gaps({ mode: 'replaceNN', replaceWithValue: 10 })]).toEqual([NaN, 4, 24]);
    expect(() => run({ type: 'reduce', expression: 'A', reducer: 'frob' })).toThrow(/frob/);
  });
  it('threshold', () => {
    const over = (type: string, ...params: number[]): (number | null)[] => run({ type: 'threshold', expression: 'B', conditions: [{ evaluator: { type, params } }] }).map((i) => i.values[0]);
    expect([over('gt', 2), over('lt', 3), over('within_range', 4, 6), over('outside_range', 4, 6), over('eq', 2)]).toEqual([[0, 1], [1, 0], [0, 1], [1, 0], [1, 0]]);
  });
  it('resample', () => {
    const at = (more: object): (number | null)[] => compute({ type: 'resample', expression: 'A', window: '2s', downsampler: 'sum', ...more }, () => [series([1, 2, 4], {}, 0)], { from: 0, to: 6000 }, () => 2000)[0].values;
    expect(at({ upsampler: 'fillna' })).toEqual([1, 6, null, null]);
    expect(at({ upsampler: 'pad' })).toEqual([1, 6, 4, 4]);
    expect(() => run({ type: 'resample', expression: 'A', window: '0s' })).toThrow(/window/);
  });
  it('conditions of old alerts', () => {
    const condition = (ref: string, reducer: string, type: string, limit: number, operator = 'and'): object => ({ query: { params: [ref] }, reducer: { type: reducer }, evaluator: { type, params: [limit] }, operator: { type: operator } });
    expect(run({ type: 'classic_conditions', conditions: [condition('A', 'max', 'gt', 30), condition('C', 'last', 'lt', 50, 'or')] })).toEqual([number(1)]);
    expect(run({ type: 'classic_conditions', conditions: [condition('A', 'max', 'gt', 30), condition('C', 'last', 'lt', 50)] })).toEqual([number(0)]);
  });
  it('names what it needs', () => {
    expect(needs({ type: 'math', expression: '$A + abs(${B})' })).toEqual(['A', 'B']);
    expect(needs({ type: 'reduce', expression: '$A' })).toEqual(['A']);
    expect(needs({ type: 'classic_conditions', conditions: [{ query: { params: ['C'] } }] })).toEqual(['C']);
    expect(needs({ type: 'math', expression: '1 +' })).toEqual([]);
    expect(() => run({ type: 'sql', expression: 'SELECT 1' })).toThrow(/sql/);
  });
  it('reads a tree', () => {
    expect(parseMath('-$A')).toEqual({ kind: 'unary', operator: '-', of: { kind: 'query', refId: 'A' } });
  });
});
