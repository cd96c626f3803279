import { expect, test } from 'vitest';
import { heldIn, NESTED, orderOf, type Frame } from './frames';
import { fieldMatcher } from './matchers';
import { transform } from './transform';

const table: Frame[] = [{ refId: 'A', fields: [
  { name: 'host', type: 'string', values: ['a', 'b', 'a'] }, { name: 'disk', type: 'string', values: ['x', 'y', 'z'] }, { name: 'used', type: 'number', values: [1, 2, 3] }, { name: 'free', type: 'number', values: [9, 8, 7] },
] }];
const plain = (f: Frame) => f.fields.map((x) => [x.name, x.values.map((v) => heldIn(v) ? heldIn(v)!.frames.map(inside) : v)]);
const inside = (f: Frame): unknown => f.fields.map((x) => [x.name, x.values]);

// As Grafana's library (groupToNestedTable.mjs of @grafana/data 13) does it.
test('groups keep their rows in a cell', () => {
  const [out] = transform(table, [{ id: 'groupToNestedTable', options: { fields: { host: { operation: 'groupby', aggregations: [] }, used: { operation: 'aggregate', aggregations: ['sum'] } } } }]);
  expect(plain(out)).toEqual([
    ['host', ['a', 'b']], ['used (sum)', [4, 2]],
    [NESTED, [[[['disk', ['x', 'z']], ['free', [9, 7]]]], [[['disk', ['y']], ['free', [8]]]]]],
  ]);
  expect(out.open).toBe(false);
});

test('the newer rules say by matchers, and what is kept inside', () => {
  const [out] = transform(table, [{ id: 'groupToNestedTable', options: { expandAllRows: true, showSubframeHeaders: false, rules: [
    { matcher: { id: 'byName', options: 'host' }, operation: 'groupby', aggregations: [] }, { matcher: { id: 'byType', options: 'number' }, operation: 'aggregate', aggregations: ['max'], keepNestedField: true },
  ] } }]);
  expect(out.fields.map((f) => f.name)).toEqual(['host', 'used (max)', 'free (max)', NESTED]);
  const [first] = out.fields[3].values.map((v) => heldIn(v)!.frames[0]);
  expect([first.bare, out.open, first.fields.map((f) => f.name)]).toEqual([true, true, ['disk', 'used', 'free']]);
  expect(transform(table, [{ id: 'groupToNestedTable', options: { fields: {} } }])).toEqual(table);
});

test('a series is a cell, and a value where one is wanted', () => {
  const series = (host: string, values: (number | null)[]): Frame => ({ refId: 'A', fields: [{ name: 'Time', type: 'time', values: values.map((_, i) => i * 1000) }, { name: 'Value', type: 'number', labels: { host }, values }] });
  const frames = [series('a', [1, 5, 3]), series('b', [9, 2, 1]), series('c', [])];
  const [out] = transform(frames, [{ id: 'timeSeriesTable', options: { A: { stat: 'max' } } }]);
  expect(out.fields.map((f) => f.name)).toEqual(['host', 'Trend #A']);
  const trend = out.fields[1];
  expect(trend.values.map((v) => Number(v))).toEqual([5, 9, NaN]);
  expect(trend.values.map(String)).toEqual(['5', '9', '']);
  expect(heldIn(trend.values[0])!.frames[0].fields[1].values).toEqual([1, 5, 3]);
  expect(orderOf(trend.values.slice(0, 2), true)).toEqual([1, 0]);
  // Grafana before 10.2 called the column "Trend".
  expect(fieldMatcher({ id: 'byName', options: 'Trend' }, () => false)(trend, out, [out])).toBe(true);
  const [sorted] = transform(frames.slice(0, 2), [{ id: 'timeSeriesTable', options: {} }, { id: 'sortBy', options: { sort: [{ field: 'Trend #A', desc: false }] } }]);
  expect(sorted.fields[0].values).toEqual(['b', 'a']);
});
