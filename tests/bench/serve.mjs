// serve.mjs - what wasmedged is compared with: node's http server, which parses the same JSON and
// makes a fresh WebAssembly.Instance for each request. node serve.mjs FILE PORT
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';

const [file, port] = process.argv.slice(2);
const module = new WebAssembly.Module(readFileSync(file));

function answer(body) {
  const { function: name, args } = JSON.parse(body);
  const value = new WebAssembly.Instance(module).exports[name](...args);
  return JSON.stringify({ outcome: 'returned', results: [{ type: 'i32', value }] });
}

createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const text = answer(Buffer.concat(parts));
    response.writeHead(200, {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(text),
    });
    response.end(text);
  });
}).listen(Number(port), '127.0.0.1', () => console.log('ready'));
