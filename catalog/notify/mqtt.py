"""A CloudEvent to an MQTT 5 broker (structured mode, QoS 1: the broker has taken it when we return).

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/mqtt-protocol-binding.md
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from catalog.errors import TransientSourceError
from catalog.notify.cloudevent import MEDIA, encode
from catalog.response_settings import MqttChannel
from catalog.secrets import resolve


def send(channel: MqttChannel, body: Mapping[str, Any]) -> None:
    """Deliver; TransientSourceError when the broker did not take it in time."""
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect_timeout = channel.timeout_seconds
    if channel.tls:
        client.tls_set()
    if channel.username is not None:
        password = None if channel.password is None else resolve(channel.password)
        client.username_pw_set(channel.username, password)
    connected, refused = threading.Event(), []

    def on_connect(_client: Any, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        if code.is_failure:
            refused.append(str(code))
        connected.set()

    client.on_connect = on_connect
    try:
        client.connect(channel.host, channel.port)
        client.loop_start()
        if not connected.wait(channel.timeout_seconds):
            raise TransientSourceError("the broker does not answer", where=channel.name)
        if refused:
            raise TransientSourceError(f"the broker refused us: {refused[0]}", where=channel.name)
        _taken(_publish(client, channel, body), channel)
    except OSError as error:
        if isinstance(error, TransientSourceError):  # which is a ConnectionError too
            raise
        raise TransientSourceError(type(error).__name__, where=channel.name) from None
    finally:
        client.disconnect()
        client.loop_stop()


def _publish(client: Client, channel: MqttChannel, body: Mapping[str, Any]) -> MQTTMessageInfo:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ContentType = f"{MEDIA}; charset=utf-8"
    return client.publish(channel.topic, encode(body), qos=1, retain=channel.retain, properties=properties)


def _taken(sent: MQTTMessageInfo, channel: MqttChannel) -> None:
    try:
        sent.wait_for_publish(channel.timeout_seconds)
    except (RuntimeError, ValueError) as error:
        raise TransientSourceError(type(error).__name__, where=channel.name) from None
    if not sent.is_published():
        raise TransientSourceError("the broker did not confirm", where=channel.name)
