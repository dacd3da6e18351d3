// Shows each page in headless Chromium, as a phone and as a desk would, by day and by night: has axe-core judge it, and leaves a picture.
// Arguments: the directory with node_modules, the directory for the pictures, and the pages. One JSON record per view; exit status 1 when a view has faults.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import path from 'node:path';

const [modules, pictures, ...pages] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(modules), 'x.js'));
const puppeteer = require('puppeteer-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

// Chromium's sandbox cannot be had as root; the pages have no script, and the network is not asked for.
const browser = await puppeteer.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
let faults = 0;
for (const file of pages) {
  for (const width of [390, 1280]) {
    for (const scheme of ['light', 'dark']) {
      const page = await browser.newPage();
      const asked = [];
      const refused = [];
      page.on('request', (request) => { if (!/^(file|data):/.test(request.url())) asked.push(request.url()); });
      page.on('console', (message) => refused.push(message.text()));
      await page.setViewport({ width, height: 900 });
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
      await page.goto('file://' + path.resolve(file));
      const name = path.basename(file, '.html');
      await page.screenshot({ path: path.join(pictures, `${name}-${width}-${scheme}.png`), fullPage: true });
      const seen = await page.evaluate(() => ({
        wider: document.documentElement.scrollWidth - window.innerWidth,
        background: getComputedStyle(document.body).backgroundColor,
        scripts: document.querySelectorAll('script').length,
        broken: [...document.images].filter((image) => image.naturalWidth === 0).length,
      }));
      await page.close();
      // The page forbids itself scripts; axe is one, so it judges a second view without that rule.
      const judged = await browser.newPage();
      await judged.setBypassCSP(true);
      await judged.setViewport({ width, height: 900 });
      await judged.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
      await judged.goto('file://' + path.resolve(file));
      await judged.evaluate(axe);
      const result = await judged.evaluate(async () => await window.axe.run());
      await judged.close();
      const violations = result.violations.map((rule) => `${rule.id}: ${rule.nodes[0].html.slice(0, 200)}`);
      faults += violations.length + asked.length + refused.length + seen.scripts + seen.broken + (seen.wider > 0 ? 1 : 0);
      console.log(JSON.stringify({ page: name, width, scheme, passes: result.passes.length, violations, asked, refused, ...seen }));
    }
  }
}
await browser.close();
process.exit(faults > 0 ? 1 : 0);
