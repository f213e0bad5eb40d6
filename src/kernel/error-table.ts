/**
 * The one table of errors, a column per wire.
 *
 * `http`, `code`  the HTTP status and Azure's numeric code (`code / 1000 === http`; the C# AMQP client relies on it)
 * `amqp`          the condition of a rejected delivery, detach or close
 * `connack`       the MQTT 3.1.1 return code when the error refuses a CONNECT
 * `retryable`     whether a client that waits and repeats the same request may succeed
 *
 * Hub rows carry the names that Azure puts into `iothub-errorcode`; rows that begin with `Dps` answer on the
 * provisioning side, whose bodies carry the number only.
 */
export const errorTable = {
  // Provisioning, device and service side.
  DpsBadRequest: row(400, 400004, 'com.microsoft:argument-error', 2, false),
  DpsUnauthorized: row(401, 401002, 'amqp:unauthorized-access', 5, false),
  DpsForbidden: row(403, 403002, 'amqp:unauthorized-access', 5, false),
  DpsQuotaExceeded: row(403, 403003, 'amqp:resource-limit-exceeded', 3, false),
  DpsEnrollmentNotFound: row(404, 404201, 'amqp:not-found', 5, false),
  DpsRecordNotFound: row(404, 404202, 'amqp:not-found', 5, false),
  DpsOperationNotFound: row(404, 404203, 'amqp:not-found', 5, false),
  DpsEnrollmentExists: row(409, 409201, 'amqp:not-allowed', 5, false),
  DpsConflict: row(409, 409203, 'amqp:resource-locked', 3, true),
  DpsPreconditionFailed: row(412, 412001, 'amqp:precondition-failed', 5, false),
  DpsUnsupportedMediaType: row(415, 415001, 'amqp:not-allowed', 5, false),

  // Hub, device and service side.
  GenericBadRequest: row(400, 400000, 'com.microsoft:argument-error', 2, false),
  InvalidProtocolVersion: row(400, 400001, 'com.microsoft:argument-error', 1, false),
  ArgumentInvalid: row(400, 400004, 'com.microsoft:argument-error', 2, false),
  IotHubFormatError: row(400, 400006, 'com.microsoft:argument-error', 2, false),
  DeviceDefinedMultipleTimes: row(400, 400011, 'com.microsoft:argument-error', 2, false),
  DeserializationError: row(400, 400012, 'com.microsoft:argument-error', 2, false),
  ConnectionForcefullyClosedOnNewConnection: row(400, 400027, 'amqp:link:stolen', 3, true),
  IotHubNotFound: row(401, 401001, 'com.microsoft:iot-hub-not-found-error', 5, false),
  IotHubUnauthorizedAccess: row(401, 401002, 'amqp:unauthorized-access', 5, false),
  IotHubUnauthorized: row(401, 401003, 'amqp:unauthorized-access', 5, false),
  GenericForbidden: row(403, 403000, 'amqp:unauthorized-access', 5, false),
  IotHubQuotaExceeded: row(403, 403002, 'com.microsoft:quota-exceeded', 3, false),
  DeviceMaximumQueueDepthExceeded: row(403, 403004, 'amqp:resource-limit-exceeded', 3, true),
  InvalidMessageExpiryTime: row(403, 403009, 'amqp:not-allowed', 5, false),
  DeviceDisabled: row(403, 403012, 'amqp:unauthorized-access', 5, false),
  DeviceMaximumInflightMethodExceeded: row(403, 403800, 'amqp:resource-limit-exceeded', 3, true),
  DeviceNotFound: row(404, 404001, 'amqp:not-found', 5, false),
  ModuleNotFound: row(404, 404010, 'amqp:not-found', 5, false),
  AmqpAddressNotFound: row(404, 404006, 'amqp:not-found', 5, false),
  DeviceNotOnline: row(404, 404103, 'amqp:not-found', 5, true),
  DeviceConnectionClosedRemotely: row(404, 404104, 'amqp:not-found', 5, true),
  DeviceAlreadyExists: row(409, 409001, 'com.microsoft:device-already-exists', 5, false),
  ModuleAlreadyExistsOnDevice: row(409, 409301, 'com.microsoft:device-already-exists', 5, false),
  TooManyModulesOnDevice: row(413, 413003, 'amqp:resource-limit-exceeded', 5, false),
  InvalidDeviceScope: row(400, 400028, 'com.microsoft:argument-error', 5, false),
  PreconditionFailed: row(412, 412001, 'com.microsoft:precondition-failed', 5, false),
  DeviceMessageLockLost: row(412, 412002, 'com.microsoft:message-lock-lost', 5, false),
  UnsupportedMediaType: row(415, 415000, 'amqp:not-allowed', 5, false),

  // Either side.
  RouteNotFound: row(404, 404000, 'amqp:not-found', 5, false),
  MethodNotAllowed: row(405, 405000, 'amqp:not-allowed', 5, false),
  NotImplemented: row(501, 501000, 'amqp:not-implemented', 5, false),
  MessageTooLarge: row(413, 413001, 'amqp:link:message-size-exceeded', 3, false),
  ResourceExists: row(409, 409000, 'amqp:not-allowed', 5, false),
  ResourceInUse: row(409, 409000, 'amqp:not-allowed', 5, false),
  WouldReadmit: row(409, 409900, 'amqp:not-allowed', 5, false),
  ResourceNotFound: row(404, 404000, 'amqp:not-found', 5, false),
  Throttled: row(429, 429001, 'com.microsoft:device-container-throttled', 3, true),
  TooManySessions: row(429, 429002, 'amqp:resource-limit-exceeded', 3, true),
  ServerError: row(500, 500001, 'amqp:internal-error', 3, true),
  ServerBusy: row(503, 503005, 'amqp:internal-error', 3, true),
  ShuttingDown: row(503, 503001, 'amqp:connection:forced', 3, true),
  GatewayTimeout: row(504, 504101, 'com.microsoft:timeout', 3, true),
} as const satisfies Record<string, ErrorRow>;

export type ErrorName = keyof typeof errorTable;

/** What each wire says for one error. */
export interface ErrorRow {
  readonly http: number;
  readonly code: number;
  readonly amqp: string;
  readonly connack: 1 | 2 | 3 | 4 | 5;
  readonly retryable: boolean;
}

function row(...[http, code, amqp, connack, retryable]: readonly [number, number, string, ErrorRow['connack'], boolean]): ErrorRow {
  return { http, code, amqp, connack, retryable };
}
