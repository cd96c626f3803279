import { expect, test, vi } from 'vitest';
vi.mock('../app/router', () => ({ root: '/', href: (p: string) => p }));
import { safeUrl } from './links';
import { parseHtml, wordless } from './views/markup';

type Node = ReturnType<typeof parseHtml> | string;
const tags = (n: Node): string[] => (typeof n === 'string' ? [] : [n.tag, ...n.children.flatMap(tags)]);
const hrefs = (n: Node): string[] => (typeof n === 'string' ? [] : [...(n.href === undefined ? [] : [n.href]), ...n.children.flatMap(hrefs)]);
const words = (n: Node): string => (typeof n === 'string' ? n : n.children.map(words).join(''));

const BAD_URLS = ['javascript:alert(1)', 'JaVaScRiPt:alert(1)', ' javascript:alert(1)', 'java\nscript:alert(1)', 'java\tscript:alert(1)', '\u0001javascript:alert(1)', 'data:text/html,<script>alert(1)</script>', 'vbscript:msgbox(1)', '//evil.example/x', '/\\evil.example', '\\\\evil.example', 'file:///etc/passwd', 'blob:https://x/1', 'about:blank', 'view-source:x', 'javascript&colon;alert(1)', 'http:alert(1)', 'https:', 'filesystem:http://x', ''];

test.each(BAD_URLS)('no link: %j', (url) => {
  expect(safeUrl(url)).toBe(null);
});

test('what leads to a page is a link', () => {
  expect(safeUrl('https://example.org/a?b=1#c')).toEqual({ url: 'https://example.org/a?b=1#c', inside: false });
  expect(safeUrl('/d/abc/x?var-a=1')).toEqual({ url: '/d/abc/x?var-a=1', inside: true });
  expect(safeUrl('mailto:ops@example.org')).toEqual({ url: 'mailto:ops@example.org', inside: false });
});

const MARKUP = [
  '<script>alert(1)</script>', '<SCRIPT SRC=//evil.example/x.js></SCRIPT>', '<scr<script>ipt>alert(1)</script>', '<img src=x onerror=alert(1)>', '<svg onload=alert(1)><g/></svg>', '<svg><script>alert(1)</script></svg>', '<iframe src="javascript:alert(1)"></iframe>', '<object data="data:text/html,x"></object>', '<embed src=x>',
  '<math><mi xlink:href="javascript:alert(1)">x</mi></math>', '<a href="javascript:alert(1)">x</a>', "<a href='&#106;avascript:alert(1)'>x</a>", '<form action="javascript:alert(1)"><input type=submit></form>', '<body onload=alert(1)>', '<details open ontoggle=alert(1)>x</details>', '<style>@import "//evil.example"</style>', '<div style="background:url(javascript:alert(1))">x</div>', '<base href="//evil.example/">', '<meta http-equiv=refresh content="0;url=javascript:alert(1)">', '<link rel=stylesheet href=//evil.example/x.css>', '<template><script>alert(1)</script></template>', '<!--<img src=x onerror=alert(1)>-->', '<b onclick=alert(1) ', '<noscript><p title="</noscript><img src=x onerror=alert(1)>">', '<video><source onerror=alert(1)></video>',
];

test.each(MARKUP)('nothing but harmless elements: %s', (source) => {
  const tree = parseHtml(source);
  const harmless = new Set(['', 'a', 'b', 'p', 'div', 'span', 'hr', 'br']);
  expect(tags(tree).filter((t) => !harmless.has(t))).toEqual([]);
  expect(hrefs(tree).filter((h) => safeUrl(h) !== null)).toEqual([]);
});

test('harmless markup stays', () => {
  const tree = parseHtml('<h2>A &amp; B</h2><p>see <a href="/d/x">here</a><br>and <b>there</b>');
  expect(tags(tree)).toEqual(['', 'h2', 'p', 'a', 'br', 'b']);
  expect(words(tree)).toBe('A & Bsee hereand there');
});

test('depth has an end', () => {
  expect(tags(parseHtml('<div>'.repeat(5000))).length).toBeLessThan(100);
});

test('a text without words is known', () => {
  for (const t of ['', ' \n', '<div style="x"></div>', '<!-- a -->', '<style>b{}</style>', '&nbsp;']) expect(wordless(t), t).toBe(true);
  for (const t of ['a', '<b>x</b>', '<img src=x>', '![a](b)', '<hr>', '# x']) expect(wordless(t), t).toBe(false);
});
