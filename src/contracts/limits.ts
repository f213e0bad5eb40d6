/** Limits in one place, each with the document it comes from. Sizes are in bytes, times say their unit. */
export const limits = {
  /** DPS documented message size: 96 KB (dps limits). */
  dpsMessageBytes: 96 * 1024,
  /** IoT Hub device-to-cloud message and batch: 256 KB (hub quotas). */
  telemetryBytes: 256 * 1024,
  /** How long telemetry can be read back: the most that a hub keeps it (hub quotas, retention of 1 to 7 days). */
  telemetryRetentionHours: 7 * 24,
  /** Cloud-to-device messages: 64 KB each, properties included, 50 waiting per device (hub quotas). */
  cloudToDeviceBytes: 64 * 1024,
  cloudToDeviceDepth: 50,
  /** How long a received message stays away from others, unless HTTPS asks for another time (hub messages). */
  messageLockSeconds: 60,
  messageLockMostSeconds: 300,
  /** Returns to the queue after which a message is given up. */
  messageDeliveries: 10,
  /** Unless the sender says when a message expires, and the most it may say. */
  messageLifeSeconds: 3600,
  messageLifeMostSeconds: 2 * 24 * 3600,
  /** A receiver that holds this many bytes of messages it has not settled is handed no more. */
  receiverBytes: 256 * 1024,
  /** Messages handed to one MQTT client that it has not acknowledged. */
  mqttUnacknowledged: 16,
  /** Feedback goes out when this many records wait, or the oldest has waited this long, and is kept this long (hub messages). */
  feedbackBatch: 64,
  feedbackBatchSeconds: 15,
  feedbackLifeSeconds: 3600,
  /** Direct methods: payload each way, and calls that one device works at (the service's own number is not documented). */
  methodBytes: 128 * 1024,
  methodNameLength: 128,
  methodsInflight: 10,
  methodResponseSeconds: { least: 5, usual: 30, most: 300 },
  methodConnectSeconds: { usual: 0, most: 300 },
  /** Service API bodies: a whole twin or an enrollment with two certificate chains fits well below. */
  serviceBodyBytes: 1024 * 1024,
  /** Before a peer has authenticated nothing needs more than a CONNECT with a SAS token or an AMQP open. */
  unauthenticatedBytes: 16 * 1024,
  /** Time from TCP accept to a finished TLS handshake, and from there to CONNECT / open / first request. */
  tlsHandshakeSeconds: 15,
  connectSeconds: 20,
  connectionsPerListener: 50_000,
  /** A connection to the provisioning service on which no request was answered for so long is ended. */
  registrationIdleMinutes: 10,
  /** Hub MQTT: keep-alive above 1767 s is treated as 1767 s (hub MQTT reference). */
  mqttKeepAliveSeconds: 1767,
  /** Between an answer and the next request of a kept-alive connection, and from a request to its answer. */
  httpKeepAliveSeconds: 120,
  httpExchangeSeconds: 100,
  /** Requests of one connection that wait for their answers; clients do not pipeline. */
  httpPipelined: 16,
  httpCloseGraceSeconds: 5,
  /** Comments on idle event streams, which middle boxes would close. */
  httpHeartbeatSeconds: 15,
  /** One WebSocket message: the largest telemetry with its topic or frame around it. */
  webSocketMessageBytes: 320 * 1024,
  /** How late it is stored who came or went, how often that of an identity that is only active, and how many in one write. */
  presenceSeconds: 1,
  activitySeconds: 60,
  presenceBatch: 500,
  mqttSubscriptions: 10,
  mqttInflight: 64,
  /** Bytes on their way to one MQTT client; a whole twin a few times over. Beyond them it is a slow consumer and is closed. */
  mqttOutboundBytes: 1024 * 1024,
  amqpFrameBytes: 65_536,
  /** Links of one session: a device has seven of its own, and a CBS pair. */
  amqpLinks: 32,
  /**
   * One connection may carry many devices, each with a session of its own (C# puts up to 995 on a pooled one). Before
   * anybody on it has shown who they are it has fewer sessions, because they cost memory.
   */
  amqpSessions: 1024,
  amqpUnsettledSessions: 128,
  amqpConnectionLinks: 8192,
  amqpDevices: 1024,
  amqpIdleSeconds: 240,
  /** Deliveries under way on one link; the provisioning service grants 1000, an IoT Hub at least 100 (observed). */
  amqpCredit: 500,
  /** Bytes of deliveries being handled for one connection; beyond them nothing is read. */
  amqpInflightBytes: 1024 * 1024,
  /** What may wait for a slow peer before it is cut off. */
  amqpQueuedMessages: 256,
  amqpOutboundBytes: 1024 * 1024,
  registrationIdLength: 128,
  deviceIdLength: 128,
  modulesOfDevice: 50,
  bulkItems: 10,
  /** Levels of a payload of a registration, either way: what nests deeper is there to exhaust somebody's stack. */
  registrationPayloadDepth: 32,
  /** The answer that carries it must fit into a message of the device API, which takes 96 KB. */
  registrationPayloadBytes: 64 * 1024,
  /** A host name, an initial twin and a payload, each at its largest. */
  allocationAnswerBytes: 128 * 1024,
  /** Registrations that wait for their turn with a webhook, of which one origin may have a quarter; beyond them devices are told to come later. */
  queuedAllocations: 10_000,
  ipFilterRules: 100,
  /** A query of the service API: text, nested parentheses, and conditions with the items of their lists. */
  queryCharacters: 4096,
  queryDepth: 16,
  queryConditions: 64,
  /** Rows that one request looks at, whether they match or not; the rest is for the next page. */
  queryExaminedRows: 2000,
  /** Of the certificates that a device showed, to foretell its next decision by. */
  presentedBytes: 32 * 1024,
  /** Certificates of a list whose effect is asked about: as many as a body of a request holds, and more. */
  listedCertificates: 50_000,
  /** Devices that are shown of what a change would do, unless they are streamed; and how many such questions go on at once. */
  whatIfDevices: 1000,
  whatIfsAtOnce: 2,
  /** Entries of the audit trail that are looked at to tell how things were. */
  explainedChanges: 200_000,
  /** Rows that one request for drift looks at, and what a deny counts as, which costs a decision. */
  driftExaminedRows: 5000,
  driftRowsPerDeny: 50,
  /** Devices of one run; beyond these nobody meant it. */
  runDevices: 100_000,
  /** Twin sections (twin reference). */
  twinTagsBytes: 8 * 1024,
  twinPropertiesBytes: 32 * 1024,
  twinDepth: 10,
  /** Reasons of refusals are of use for about as long as somebody remembers the refusal. */
  decisionDays: 30,
  /** Of each side. About a kilobyte each: a hundred megabytes at most, whoever floods. */
  keptDecisions: 100_000,
  /** Decisions after which housekeeping does not wait for its hour. */
  decisionsBetweenPrunes: 5000,
  /** Refusals that a follower of the stream may be behind; one that is further back reads the list. */
  refusalsBehind: 10_000,
  /** Events that are kept, delivered or not, and for how long; a webhook that is gone for longer misses some. */
  keptEvents: 10_000,
  eventDays: 30,
  eventsBetweenPrunes: 1000,
  /** What a webhook for events may answer; nobody reads it. */
  eventAnswerBytes: 16 * 1024,
  /** Devices whose attempts after they were shut out are counted, and for how long after the last one. */
  keptTripwires: 100_000,
  tripwireDays: 90,
  queryPage: 100,
  queryPageMaximum: 1000,
} as const;
