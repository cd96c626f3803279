import { expect, test } from 'vitest';
import { nameOf, type Frame } from './frames';
import { transform } from './transform';

const run = (id: string, options: object, frames: Frame[]) => {
  const out = transform(frames, [{ id, options }]);
  return out.map((frame) => frame.fields.map((f) => [nameOf(f, frame, out), f.values]));
};
const series = (refId: string, labels: Record<string, string>, values: number[], from = 0): Frame => ({ refId, fields: [{ name: 'Time', type: 'time', values: values.map((_, i) => (from + i) * 1000) }, { name: 'Value', type: 'number', labels, values }] });

test('prepareTimeSeries: wide, multi and long', () => {
  const two = [series('A', { host: 'a' }, [1, 2]), series('A', { host: 'b' }, [3, 4], 1)];
  expect(run('prepareTimeSeries', { format: 'wide' }, two)).toEqual([[['Time', [0, 1000, 2000]], ['a', [1, 2, undefined]], ['b', [undefined, 3, 4]]]]);
  expect(run('prepareTimeSeries', { format: 'long' }, two)).toEqual([[['Time', [0, 1000, 1000, 2000]], ['Value', [1, 2, 3, 4]], ['host', ['a', 'a', 'b', 'b']]]]);
  const long: Frame = { refId: 'A', fields: [{ name: 'Time', type: 'time', values: [0, 0, 1] }, { name: 'host', type: 'string', values: ['a', 'b', 'a'] }, { name: 'Value', type: 'number', values: [1, 2, 3] }] };
  expect(run('prepareTimeSeries', { format: 'multi' }, [long])).toEqual([[['Time', [0, 1]], ['a', [1, 3]]], [['Time', [0]], ['b', [2]]]]);
  expect(run('prepareTimeSeries', {}, [{ refId: 'A', fields: [{ name: 'x', type: 'string', values: ['a'] }] }])).toEqual([[['x', ['a']]]]);
});

test('regression finds the line, and the curve', () => {
  const line = run('regression', { modelType: 'linear', predictionCount: 3 }, [series('A', {}, [1, 3, 5])]);
  expect(line[1][1]).toEqual(['linear regression', [expect.closeTo(1), expect.closeTo(3), expect.closeTo(5)]]);
  const curve = run('regression', { modelType: 'polynomial', degree: 2, predictionCount: 3 }, [series('A', {}, [0, 1, 4, 9, 16])]);
  expect(curve[1][1]).toEqual(['polynomial regression', [expect.closeTo(0), expect.closeTo(4), expect.closeTo(16)]]);
  expect(run('regression', {}, [series('A', {}, [1])])).toHaveLength(1);
});

test('smoothing keeps the ends and the peak', () => {
  const values = Array.from({ length: 100 }, (_, i) => (i === 50 ? 100 : 1));
  const [, made] = run('smoothing', { resolution: 10 }, [series('A', { host: 'a' }, values)]);
  expect(made[1][0]).toBe('a (smoothed)');
  const smooth = made[1][1] as number[];
  expect([smooth[0], smooth[50], smooth[99]]).toEqual([1, 100, 1]);
});

test('extractFields: JSON, paths, pairs, delimiters and groups', () => {
  const of = (values: string[]): Frame[] => [{ refId: 'A', fields: [{ name: 'x', type: 'string', values }] }];
  const fields = (options: object, ...values: string[]) => run('extractFields', { source: 'x', replace: true, ...options }, of(values))[0];
  expect(fields({ format: 'json' }, '{"a":1,"b":{"c":"d"}}', 'broken')).toEqual([['a', [1, null]], ['b', ['{"c":"d"}', null]]]);
  expect(fields({ format: 'json', jsonPaths: [{ path: 'b.c', alias: 'C' }, { path: 'l[1]' }] }, '{"b":{"c":"d"},"l":[1,2]}')).toEqual([['C', ['d']], ['l[1]', [2]]]);
  expect(fields({ format: 'kvp' }, 'a=1, b="x y"')).toEqual([['a', ['1']], ['b', ['x y']]]);
  expect(fields({ format: 'delimiter', delimiter: ';' }, 'p; q')).toEqual([['p', ['p']], ['q', ['q']]]);
  expect(fields({ format: 'regexp', regExp: '/(?<host>\\w+):(?<port>\\d+)/' }, 'db:3306')).toEqual([['host', ['db']], ['port', ['3306']]]);
  expect(fields({}, 'a=1')).toEqual([['a', ['1']]]);
});

test('fields in order by their names or a label', () => {
  const wide: Frame = { refId: 'A', fields: [{ name: 'b10', type: 'number', labels: { z: '1' }, values: [1] }, { name: 'b9', type: 'number', labels: { z: '2' }, values: [2] }, { name: 'Time', type: 'time', values: [0] }] };
  const names = (options: object) => transform([wide], [{ id: 'organize', options }])[0].fields.map((f) => f.name);
  expect(names({ orderByMode: 'auto', orderBy: [{ type: 'name' }] })).toEqual(['Time', 'b9', 'b10']);
  expect(names({ orderByMode: 'auto', orderBy: [{ type: 'label', name: 'z', desc: true }] })).toEqual(['Time', 'b9', 'b10']);
  expect(names({ indexByName: { Time: 0 } })[0]).toBe('Time');
});

test('rules of nested groups are read; nested.test.ts has what is inside', () => {
  const frame: Frame = { refId: 'A', fields: [{ name: 'host', type: 'string', values: ['a', 'a', 'b'] }, { name: 'v', type: 'number', values: [1, 2, 3] }] };
  expect(run('groupToNestedTable', { rules: [{ matcher: { id: 'byName', options: 'host' }, operation: 'groupby' }, { matcher: { id: 'byName', options: 'v' }, operation: 'aggregate', aggregations: ['sum'] }] }, [frame]).map((f) => f.slice(0, 2))).toEqual([[['host', ['a', 'b']], ['v (sum)', [3, 3]]]]);
});

test('what a filter leaves out stands where it stood', () => {
  const frames = ['A', 'B', 'C'].map((r) => series(r, {}, [1, 2]));
  expect(transform(frames, [{ id: 'limit', options: { limitField: 1 }, filter: { id: 'byRefId', options: 'B' } }]).map((f) => [f.refId, f.fields[0].values.length])).toEqual([['B', 1], ['A', 2], ['C', 2]]);
});

test('options of the wrong kind are not fatal', () => {
  const frames = [series('A', { a: 'b' }, [1, 2]), series('B', {}, [3])];
  for (const id of ['organize', 'order', 'rename', 'filterFieldsByName', 'filterFields', 'filterFrames', 'filterByValue', 'sortBy', 'groupBy', 'groupToNestedTable', 'labelsToFields', 'renameByRegex', 'groupingToMatrix', 'convertFieldType', 'extractFields', 'rowsToFields', 'configFromData', 'timeSeriesTable', 'transpose', 'histogram', 'calculateField', 'partitionByValues', 'prepareTimeSeries', 'regression', 'smoothing', 'formatString', 'formatTime', 'limit', 'reduce', 'merge', 'joinByField', 'seriesToColumns', 'joinByLabels', 'seriesToRows', 'concatenate', 'ensureColumns', 'append', 'filterByRefId']) {
    for (const options of [{}, null, { fields: null, filters: null, sort: [null], conversions: [null], mappings: [null], rules: [null], reducers: [null] }]) expect(() => transform(frames, [{ id, options }]), `${id} ${JSON.stringify(options)}`).not.toThrow();
  }
});
