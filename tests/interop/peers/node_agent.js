// Runs in node: plays WebSocket ends with the npm package `ws`, as told over a control connection.
//
// Every line on a control connection is a JSON object. A command has an `id`, and its answer repeats it;
// an object without an `id` is an event of one WebSocket connection. What a control connection opened ends
// with it. The first line on standard output is the port to connect to.
"use strict";

const fs = require("fs");
const http = require("http");
const https = require("https");
const net = require("net");
const path = require("path");
const { WebSocket, WebSocketServer } = require(path.join(process.argv[2], "node_modules", "ws"));

class Agent {
  constructor(control) {
    this.control = control;
    this.sockets = new Map();
    this.servers = [];
    this.count = 0;
  }

  tell(message) {
    if (!this.control.destroyed) this.control.write(JSON.stringify(message) + "\n");
  }

  adopt(socket) {
    const end = ++this.count;
    this.sockets.set(end, socket);
    socket.on("error", () => {});
    socket.on("message", (data, isBinary) => {
      const body = isBinary ? { data: data.toString("base64") } : { text: data.toString("utf8") };
      this.tell({ event: "message", end, ...body });
    });
    socket.on("pong", (data) => this.tell({ event: "pong", end, data: data.toString("base64") }));
    socket.on("close", (code, reason) =>
      this.tell({ event: "closed", end, code, reason: reason.toString() }),
    );
    return end;
  }

  deflate(options) {
    return options.deflate ? { ...options.deflate, threshold: 0 } : false;
  }

  connect(options, answer) {
    const socket = new WebSocket(options.url, options.subprotocols, {
      headers: options.headers,
      perMessageDeflate: this.deflate(options),
      maxPayload: options.maxSize,
      ca: options.authority && fs.readFileSync(options.authority),
    });
    let headers = {};
    // Frames may follow the response at once: the listeners are there before the socket is open.
    const end = this.adopt(socket);
    socket.on("upgrade", (response) => (headers = response.headers));
    socket.on("open", () => answer({ end, headers, subprotocol: socket.protocol || null }));
    socket.on("unexpected-response", (request, response) => {
      answer({ refused: response.statusCode });
      request.destroy();
    });
    socket.on("error", (error) => answer({ error: String(error), code: error.code }));
  }

  serve(options, answer) {
    const server = options.certificate
      ? https.createServer({
          cert: fs.readFileSync(options.certificate),
          key: fs.readFileSync(options.key),
        })
      : http.createServer();
    const sockets = new WebSocketServer({
      server,
      perMessageDeflate: this.deflate(options),
      maxPayload: options.maxSize,
      handleProtocols: (offered) => options.subprotocols.find((s) => offered.has(s)) || false,
      verifyClient: (info, verdict) => verdict(!options.refuse, options.refuse, "not today"),
    });
    sockets.on("headers", (lines) => {
      for (const [name, value] of Object.entries(options.headers)) lines.push(`${name}: ${value}`);
    });
    sockets.on("connection", (socket, request) => {
      const end = this.adopt(socket);
      this.tell({
        event: "accepted",
        end,
        target: request.url,
        headers: request.headers,
        subprotocol: socket.protocol || null,
      });
    });
    this.servers.push(server);
    const bound = () => answer({ port: options.unix ? null : server.address().port });
    if (options.unix) server.listen(options.unix, bound);
    else server.listen(0, "127.0.0.1", bound);
  }

  send({ end, text, data, fin }, answer) {
    const body = text === undefined ? Buffer.from(data, "base64") : text;
    this.sockets.get(end).send(body, { fin, binary: text === undefined }, () => answer({}));
  }

  ping({ end, data }, answer) {
    this.sockets.get(end).ping(Buffer.from(data, "base64"), undefined, () => answer({}));
  }

  close({ end, code, reason }, answer) {
    this.sockets.get(end).close(code, reason);
    answer({});
  }

  abort({ end }, answer) {
    this.sockets.get(end).terminate();
    answer({});
  }

  shut() {
    for (const socket of this.sockets.values()) socket.terminate();
    for (const server of this.servers) server.close();
  }
}

const listener = net.createServer((control) => {
  const agent = new Agent(control);
  let pending = "";
  control.setEncoding("utf8");
  control.on("data", (chunk) => {
    const lines = (pending + chunk).split("\n");
    pending = lines.pop();
    for (const line of lines) {
      const { id, command, ...options } = JSON.parse(line);
      agent[command](options, (result) => agent.tell({ id, ...result }));
    }
  });
  control.on("error", () => {});
  control.on("close", () => agent.shut());
});
listener.listen(0, "127.0.0.1", () => console.log(listener.address().port));
// The tests hold the other end of standard input: when they are gone, so is this process.
process.stdin.on("end", () => process.exit(0)).resume();
