import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { ByteBudget } from '../../../kernel/byte-budget.ts';
import type { Clock } from '../../../kernel/clock.ts';
import type { Ids } from '../../../kernel/ids.ts';
import type { Logger } from '../../../kernel/logger.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { PeerConnection } from '../../connection.ts';
import { Connections } from './connections.ts';
import { writeEvents } from './event-stream.ts';
import { Exchange } from './exchange.ts';
import { compilePattern, methodsAt, pathOf, restoreSeparators } from './path-pattern.ts';
import { renderRawAnswer } from './raw-answer.ts';
import { hasLongUnreadBody } from './read-body.ts';
import { createHttpRequest } from './request.ts';
import type { HttpAnswer, HttpEngineLimits, Route, RouteGroup } from './route.ts';
import { chooseProtocol, createWebSocketUpgrades, offeredProtocols, type WebSocketTakers } from './web-sockets.ts';

export interface HttpEngineDeps {
  /** In order; the last one also answers for what none of them owns. */
  readonly groups: readonly [RouteGroup, ...RouteGroup[]];
  /** Absent: upgrades are refused. */
  readonly webSockets?: WebSocketTakers;
  /** What all connections buffer together; none unless given. */
  readonly budget?: ByteBudget;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  readonly limits: HttpEngineLimits;
}

/** HTTP/1.1 on connections that somebody else accepted. Knows routes and peers; no device, no enrollment. */
export class HttpEngine {
  readonly #deps: HttpEngineDeps;
  readonly #connections: Connections;
  readonly #exchanges = new WeakMap<IncomingMessage, Exchange>();
  readonly #patterns: readonly ReturnType<typeof compilePattern>[];
  readonly #upgrades: ReturnType<typeof createWebSocketUpgrades> | undefined;
  readonly #app: FastifyInstance;

  private constructor(deps: HttpEngineDeps) {
    this.#deps = deps;
    this.#connections = new Connections(deps);
    this.#patterns = deps.groups.flatMap((group) => group.routes.map(compilePattern));
    this.#upgrades =
      deps.webSockets && createWebSocketUpgrades({ ...deps, takers: deps.webSockets, maxMessageBytes: deps.limits.webSocketMessageBytes });
    this.#app = this.#createApp();
  }

  static async open(deps: HttpEngineDeps): Promise<HttpEngine> {
    const engine = new HttpEngine(deps);
    await engine.#app.ready();
    return engine;
  }

  accept(connection: PeerConnection): void {
    if (this.#connections.add(connection)) this.#app.server.emit('connection', connection.stream);
  }

  connectionCount(): number {
    return this.#connections.count;
  }

  async close(): Promise<void> {
    this.#upgrades?.close();
    await this.#connections.close();
    await this.#app.close();
  }

  #createApp(): FastifyInstance {
    const app = fastify({
      serverFactory: (handler) => this.#createServer(handler),
      clientErrorHandler: (error, socket) => this.#refuseMalformed(error, socket),
      rewriteUrl: (message) => restoreSeparators(message.url ?? '/', this.#patterns),
      frameworkErrors: (error, request, reply) => {
        const sentence = error.code === 'FST_ERR_BAD_URL' ? 'The path cannot be decoded.' : 'An id in the path is too long.';
        void this.#send(request.raw, reply, this.#refusal(request.raw, new ServiceError('GenericBadRequest', sentence)));
      },
      // Ids have at most 128 characters; opaque parts (operations, lock tokens) get room, too.
      routerOptions: { caseSensitive: false, ignoreTrailingSlash: true, maxParamLength: 1024 },
      exposeHeadRoutes: false,
      requestIdHeader: false,
      logger: false,
    });
    // Bodies are read by the handlers, after they have authorised: to fastify no method has one.
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) app.addHttpMethod(method, { hasBody: false, overrideExisting: true });
    for (const group of this.#deps.groups) for (const route of group.routes) this.#mount(app, group, route);
    app.setNotFoundHandler(async (request, reply) => this.#send(request.raw, reply, this.#notFound(request.raw)));
    app.setErrorHandler((error, request, reply) => this.#send(request.raw, reply, this.#refusal(request.raw, error)));
    return app;
  }

  #createServer(handler: (message: IncomingMessage, response: ServerResponse) => void): Server {
    const server = createServer(
      {
        maxHeaderSize: this.#deps.limits.headBytes,
        // The engine's own deadlines replace Node's (see `Connections`); a missing Host is answered by the bindings' renderers.
        keepAliveTimeout: 0,
        requireHostHeader: false,
      },
      (message, response) => this.#begin(message, response, handler),
    );
    server.on('upgrade', (message: IncomingMessage, _socket: Duplex, head: Buffer) => this.#upgrade(message, head));
    return server;
  }

  #mount(app: FastifyInstance, group: RouteGroup, route: Route): void {
    app.route({
      method: route.method,
      url: route.path,
      handler: async (request, reply) => {
        const exchange = this.#exchangeOf(request.raw);
        exchange.route = route.path;
        if (route.exchangeSeconds !== undefined) this.#connections.allow(exchange.peer.stream, route.exchangeSeconds);
        return this.#send(request.raw, reply, await this.#answer(request, exchange, { group, route }));
      },
    });
  }

  async #answer(
    request: FastifyRequest,
    exchange: Exchange,
    { group, route }: { readonly group: RouteGroup; readonly route: Route },
  ): Promise<HttpAnswer> {
    try {
      if (!request.raw.headers.host) throw new ServiceError('GenericBadRequest', 'The request has no Host header.');
      const params = request.params as Readonly<Record<string, string>>;
      const { trackingId, peer } = exchange;
      const note = exchange.note.bind(exchange);
      return await route.handle(createHttpRequest({ message: request.raw, pattern: route.path, params, trackingId, peer, note }));
    } catch (thrown) {
      return this.#refusal(request.raw, thrown, group);
    }
  }

  #begin(message: IncomingMessage, response: ServerResponse, handler: (message: IncomingMessage, response: ServerResponse) => void): void {
    const exchange = this.#open(message, response);
    if (exchange === undefined) return;
    response.setHeader('x-ms-request-id', exchange.trackingId);
    if (this.#connections.closing) response.shouldKeepAlive = false;
    response.once('close', () => {
      exchange.onGone();
      this.#connections.leave(exchange.peer.stream, exchange);
    });
    handler(message, response);
  }

  /** Starts an exchange; a peer that keeps too many waiting loses its connection instead. */
  #open(message: IncomingMessage, response?: ServerResponse): Exchange | undefined {
    const peer = this.#connections.peerOf(message.socket);
    if (peer === undefined) return undefined;
    const trackingId = this.#deps.ids.trackingId();
    const exchange = new Exchange(this.#deps, { message, peer, trackingId, ...(response && { response }) });
    if (this.#connections.enter(peer.stream, exchange)) {
      this.#exchanges.set(message, exchange);
      return exchange;
    }
    this.#deps.log.info('http.dropped', { reason: 'too many unanswered requests', trackingId, remoteAddress: peer.remoteAddress });
    peer.stream.destroy();
    return undefined;
  }

  #exchangeOf(message: IncomingMessage): Exchange {
    const exchange = this.#exchanges.get(message);
    if (exchange === undefined) throw new Error('a request came in without its exchange');
    return exchange;
  }

  #notFound(message: IncomingMessage): HttpAnswer {
    const methods = methodsAt(pathOf(message.url ?? '/'), this.#patterns);
    if (methods.length === 0) return this.#refusal(message, new ServiceError('RouteNotFound', 'Nothing answers at this path.'));
    const refused = new ServiceError('MethodNotAllowed', `This path answers ${methods.join(', ')} only.`);
    const answer = this.#refusal(message, refused);
    return { ...answer, headers: { ...answer.headers, allow: methods.join(', ') } };
  }

  #refusal(message: IncomingMessage, thrown: unknown, group = this.#groupOf(message)): HttpAnswer {
    const exchange = this.#exchangeOf(message);
    const error = exchange.fail(thrown);
    // A thrower that kept its reasons under an id of its own wants that one quoted.
    const trackingId = error.trackingId ?? exchange.trackingId;
    const answer = group.renderError(error, { trackingId, now: this.#deps.clock.now() });
    return { ...answer, headers: { ...answer.headers, 'x-ms-request-id': trackingId } };
  }

  #groupOf(message: IncomingMessage): RouteGroup {
    const path = pathOf(message.url ?? '/');
    return this.#deps.groups.find((group) => group.owns(path)) ?? this.#deps.groups.at(-1) ?? this.#deps.groups[0];
  }

  #send(message: IncomingMessage, reply: FastifyReply, answer: HttpAnswer): FastifyReply {
    const exchange = this.#exchangeOf(message);
    if (answer.events !== undefined) {
      reply.hijack();
      this.#connections.liftDeadline(exchange.peer.stream);
      void this.#stream(reply.raw, exchange, { ...answer, events: answer.events });
      return reply;
    }
    if (hasLongUnreadBody(message) || this.#connections.closing) reply.header('connection', 'close');
    reply.code(answer.status).headers(answer.headers ?? {});
    if (answer.bytes !== undefined) return reply.header('content-type', answer.bytes.type).send(Buffer.from(answer.bytes.content));
    if (answer.body === undefined) return reply.send();
    return reply.header('content-type', 'application/json; charset=utf-8').send(JSON.stringify(answer.body));
  }

  async #stream(
    response: ServerResponse,
    exchange: Exchange,
    answer: HttpAnswer & { readonly events: NonNullable<HttpAnswer['events']> },
  ): Promise<void> {
    const { clock, limits } = this.#deps;
    try {
      await writeEvents({ response, answer, signal: exchange.signal, clock, heartbeatSeconds: limits.heartbeatSeconds });
    } catch (thrown) {
      exchange.fail(thrown);
    }
  }

  #upgrade(message: IncomingMessage, head: Buffer): void {
    const exchange = this.#open(message);
    if (exchange === undefined) return;
    exchange.route = 'websocket';
    const chosen = chooseProtocol(offeredProtocols(message));
    const isWebSocket = message.headers.upgrade?.toLowerCase() === 'websocket';
    if (this.#upgrades === undefined || chosen === undefined || !isWebSocket || this.#connections.closing) {
      const sentence = 'Only WebSocket upgrades with the sub-protocol mqtt or AMQPWSB10 are served here.';
      exchange.peer.stream.end(renderRawAnswer(this.#refusal(message, new ServiceError('GenericBadRequest', sentence))), () =>
        exchange.peer.stream.destroy(),
      );
      exchange.finish(400);
      return;
    }
    this.#connections.liftDeadline(exchange.peer.stream);
    exchange.note({ protocol: chosen.protocol });
    this.#upgrades.upgrade(message, exchange.peer, head);
    exchange.finish(101);
  }

  /** What Node's parser refused: there is no request to speak of, only a connection to end with a sentence. */
  #refuseMalformed(error: Error & { readonly code?: string }, stream: Duplex): void {
    const peer = this.#connections.peerOf(stream);
    if (peer === undefined || error.code === 'ECONNRESET' || !stream.writable || this.#connections.isBusy(stream)) {
      stream.destroy();
      return;
    }
    const trackingId = this.#deps.ids.trackingId();
    const tooLong = error.code === 'HPE_HEADER_OVERFLOW';
    const group = this.#deps.groups.at(-1) ?? this.#deps.groups[0];
    const sentence = tooLong
      ? `The request line and headers are longer than ${String(this.#deps.limits.headBytes)} bytes.`
      : 'This is not HTTP/1.1.';
    const answer = group.renderError(new ServiceError('GenericBadRequest', sentence), { trackingId, now: this.#deps.clock.now() });
    this.#deps.log.info('http.malformed', { code: error.code, trackingId, remoteAddress: peer.remoteAddress });
    stream.end(renderRawAnswer({ ...answer, headers: { ...answer.headers, 'x-ms-request-id': trackingId } }), () => stream.destroy());
  }
}
