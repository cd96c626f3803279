import { describe, expect, it } from 'vitest';
import { filtered } from './choices';

const values = (list: string[], regex: string): string[] => filtered(list, regex).map((o) => o.value);

describe("a variable's regular expression", () => {
  it('looks anywhere between slashes and must be the whole value without', () => {
    expect(values(['eth0', 'veth0', 'lo'], '/eth/')).toEqual(['eth0', 'veth0']);
    expect(values(['eth0', 'veth0', 'lo'], 'eth.')).toEqual(['eth0']);
    expect(values(['ETH0', 'lo'], '/eth/i')).toEqual(['ETH0']);
  });
  it('takes the first group, once for each value', () => {
    expect(values(['up{instance="a:1"} 1 2', 'up{instance="a:1"} 0 3', 'up{instance="b:1"} 1 2'], '/instance="([^"]*)"/')).toEqual(['a:1', 'b:1']);
  });
  it('takes every match when it is global', () => {
    expect(values(['x="1",x="2"'], '/x="(\\d)"/g')).toEqual(['1', '2']);
  });
  it('knows groups called text and value', () => {
    expect(filtered(['a{id="7",name="seven"}'], '/id="(?<value>[^"]+)",name="(?<text>[^"]+)"/')).toEqual([{ text: 'seven', value: '7' }]);
    expect(filtered(['id="7"'], '/id="(?<value>[^"]+)"/')).toEqual([{ text: '7', value: '7' }]);
  });
  it('that is none hides nothing', () => {
    expect(values(['a', 'b'], '/(/')).toEqual(['a', 'b']);
  });
});
