import { describe, expect, it } from 'vitest';
import { measured } from './measured';

describe('what a rule measures', () => {
  it.each([
    ['up == 0', 'up', 0],
    ['node_load1{a=">"} > 2', 'node_load1{a=">"}', 2],
    ['sum(rate(x[5m])) by (job) >= 1e3', 'sum(rate(x[5m])) by (job)', 1000],
    ['0.5 < a / b', 'a / b', 0.5],
    ['x > bool 1', 'x', 1],
    ['(a > 1) * b', '(a > 1) * b', null],
    ['a > 1 and b > 2', 'a > 1 and b > 2', null],
    ['a > b', 'a > b', null],
    ['vector(1)', 'vector(1)', null],
    ['a > 1 > 2', 'a > 1 > 2', null],
    ['orders_total > 3', 'orders_total', 3],
  ])('%s', (query, expr, limit) => {
    expect(measured(query)).toEqual({ expr, limit });
  });
});
