// Opens a page in headless Chromium and says what it saw of it, as JSON.
//   node --input-type=module - light|dark PAGE.html < browser.mjs
import { createHash } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import chromium from '@sparticuz/chromium';
import puppeteer from 'puppeteer-core';

const [scheme, file] = process.argv.slice(2);
const browser = await puppeteer.launch({
  args: [...chromium.args, '--no-sandbox'],
  executablePath: await chromium.executablePath(),
  headless: 'shell',
});
const page = await browser.newPage();
await page.setViewport({ width: 1200, height: 900 });
await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
const url = pathToFileURL(file).href;
const [console_, errors, requests] = [[], [], []];
page.on('console', (message) => console_.push(message.text()));
page.on('pageerror', (error) => errors.push(String(error)));
page.on('dialog', (dialog) => { errors.push(dialog.message()); dialog.dismiss(); });
page.on('request', (request) => { if (request.url() !== url) requests.push(request.url()); });
await page.goto(url, { waitUntil: 'networkidle0' });
const seen = await page.evaluate(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const channels = (colour) => colour.match(/[\d.]+/g).slice(0, 3).map(Number);
  const light = (colour) => {
    const [r, g, b] = channels(colour).map((value) => {
      const part = value / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!/, 0\)$/.test(colour)) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const contrast = (element) => {
    const [a, b] = [light(getComputedStyle(element).color), light(ground(element))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const words = all('h1, h2, p, li, td, th, caption, figcaption, summary, .state, .quiet-text, footer');
  const attributes = all('*').flatMap((element) => [...element.attributes].map(({ name }) => name));
  return {
    scripts: all('script').map((element) => element.outerHTML),
    images: all('img, iframe, object, link, embed').map((element) => element.outerHTML),
    handlers: attributes.filter((name) => name.startsWith('on')),
    untitled: all('svg:not([aria-hidden])')
      .filter((svg) => svg.getAttribute('role') !== 'img' || !svg.querySelector('title'))
      .map((svg) => svg.outerHTML.slice(0, 80)),
    hurt: 'hurt' in window,
    order: [...document.querySelector('main').children]
      .map((element) => element.getAttribute('aria-label') ?? element.tagName.toLowerCase()),
    do_bottom: document.querySelector('.do').getBoundingClientRect().bottom,
    bars: all('figure svg rect').length,
    scrolls_sideways: document.documentElement.scrollWidth > document.documentElement.clientWidth,
    contrast: Math.min(...words.map(contrast)),
    // What is wider than its room can be reached by keyboard.
    unreachable: all('.scroll').filter((element) => element.tabIndex !== 0).map((element) => element.outerHTML.slice(0, 80)),
  };
});
const picture = await page.screenshot({ fullPage: true });
const pdf = await page.pdf({ format: 'A4' });
await browser.close();
const pages = Buffer.from(pdf).toString('latin1').match(/\/Type\s*\/Page\b/g) ?? [];
const said = {
  ...seen, console: console_, errors, requests,
  screenshot_bytes: picture.length, screenshot: createHash('sha256').update(picture).digest('hex'),
  pdf_pages: pages.length,
};
process.stdout.write(JSON.stringify(said));
