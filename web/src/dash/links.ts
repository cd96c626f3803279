// Links of dashboards, panels and values. A file may say anything here, so only what leads to a page
// (http, https, mail, or a path of ours) becomes a link at all.
import { root } from '../app/router';
import type { Context } from './ask';
import { fill, type Times } from './interpolate';
import type { Json } from './model';

export interface Link {
  title: string;
  url: string;
  inside: boolean; // A path of ours, without the route prefix.
  blank: boolean;
}

export function safeUrl(text: string): { url: string; inside: boolean } | null {
  const url = text.trim().replace(/[\u0000-\u001f\u007f]/g, '');
  if (/^https?:\/\/[^\s/]/i.test(url) || /^mailto:[^\s]+@/i.test(url)) return { url, inside: false };
  if (/^\/(?![/\\])/.test(url)) return { url: root !== '/' && url.startsWith(root) ? '/' + url.slice(root.length) : url, inside: true };
  if (/^(d|dashboard|explore|alerting)\/[\w-]/.test(url)) return { url: '/' + url, inside: true };
  if (/^\?[\w-]/.test(url) && typeof location !== 'undefined') return { url: '/' + location.pathname.slice(root.length) + url, inside: true };
  return null;
}

export function linksOf(list: Json, context: Context, local: Record<string, string> = {}): Link[] {
  if (!Array.isArray(list)) return [];
  const times: Times = { from: context.from, to: context.to, step: 15, interval: context.scrapeInterval };
  return list.flatMap((l: Json): Link[] => {
    if (!l || typeof l !== 'object') return [];
    const text = (v: Json): string => fill(String(v ?? ''), context.board, context.scope, times, 'text', local);
    const raw = l.url ? String(l.url) : l.dashUri ? `dashboard/${String(l.dashUri).replace(/^\/?(dashboard\/)?/, '')}` : '';
    const dash = raw === '' && l.dashboard ? `/dashboards?search=${encodeURIComponent(String(l.dashboard))}` : raw;
    // What a cell or a label says stands in an address as it must be written there; where it is the address, as one.
    const coded = dash.replace(/^\$\{(__(?:data\.fields|value|field|series)[^:}]*)\}/, '${$1:uriencode}').replace(/\$\{(__(?:data\.fields|value|field|series)[^:}]*)\}/g, '${$1:percentencode}');
    const safe = safeUrl(text(coded));
    if (!safe) return [];
    const more: string[] = [];
    if (l.includeVars) more.push(text('${__all_variables}'));
    if (l.keepTime) more.push(text('${__url_time_range}'));
    if (l.params) more.push(text(l.params).replace(/^[?&]/, ''));
    const extra = more.filter(Boolean).join('&');
    return [{ title: text(l.title) || safe.url, url: extra === '' ? safe.url : safe.url + (safe.url.includes('?') ? '&' : '?') + extra, inside: safe.inside, blank: l.targetBlank === true }];
  });
}
