package apps_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

// mqtt is a client of MQTT 3.1.1, as much of it as the tests need.
type mqtt struct {
	conn net.Conn
	in   *bufio.Reader
}

// The types of packets.
const (
	mqttConnect    = 1 << 4
	mqttConnack    = 2 << 4
	mqttPublish    = 3 << 4
	mqttPuback     = 4 << 4
	mqttSubscribe  = 8<<4 | 2
	mqttSuback     = 9 << 4
	mqttDisconnect = 14 << 4
)

// connectMQTT begins a session. The error closes the connection.
func connectMQTT(conn net.Conn, user, password string) (*mqtt, error) {
	c := &mqtt{conn: conn, in: bufio.NewReader(conn)}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	const cleanSession, hasPassword, hasUser = 1 << 1, 1 << 6, 1 << 7
	body := append(text("MQTT"), 4, cleanSession|hasPassword|hasUser, 0, 60)
	body = append(body, text("")...)
	body = append(append(body, text(user)...), text(password)...)
	answer, err := c.ask(mqttConnect, body, mqttConnack)
	if err == nil && answer[1] != 0 {
		err = fmt.Errorf("the broker has refused with code %d", answer[1])
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

// publish publishes a message for the broker to keep, and waits until it has it.
func (c *mqtt) publish(topic, message string) error {
	const atLeastOnce, retain = 1 << 1, 1
	body := append(text(topic), 0, 1)
	_, err := c.ask(mqttPublish|atLeastOnce|retain, append(body, message...), mqttPuback)
	return err
}

// receive subscribes to a topic, and returns the first message.
func (c *mqtt) receive(topic string) (string, error) {
	body := append([]byte{0, 2}, text(topic)...)
	if _, err := c.ask(mqttSubscribe, append(body, 0), mqttSuback); err != nil {
		return "", err
	}
	kind, packet, err := c.read()
	if err != nil {
		return "", err
	}
	if kind&0xf0 != mqttPublish {
		return "", fmt.Errorf("the broker sends a packet of type %d, not a message", kind>>4)
	}
	return string(packet[2+binary.BigEndian.Uint16(packet):]), nil
}

func (c *mqtt) close() error {
	if err := c.write(mqttDisconnect, nil); err != nil {
		return err
	}
	return c.conn.Close()
}

// ask sends a packet, and returns the one that answers.
func (c *mqtt) ask(kind byte, body []byte, answer byte) ([]byte, error) {
	if err := c.write(kind, body); err != nil {
		return nil, err
	}
	got, packet, err := c.read()
	if err == nil && got&0xf0 != answer {
		err = fmt.Errorf("the broker answers with a packet of type %d, not %d", got>>4, answer>>4)
	}
	return packet, err
}

func (c *mqtt) write(kind byte, body []byte) error {
	_, err := c.conn.Write(append(binary.AppendUvarint([]byte{kind}, uint64(len(body))), body...))
	return err
}

func (c *mqtt) read() (kind byte, packet []byte, err error) {
	if kind, err = c.in.ReadByte(); err != nil {
		return 0, nil, err
	}
	length, err := binary.ReadUvarint(c.in)
	if err != nil {
		return 0, nil, err
	}
	if length > 1<<20 {
		return 0, nil, fmt.Errorf("the broker announces a packet of %d bytes", length)
	}
	packet = make([]byte, length)
	_, err = io.ReadFull(c.in, packet)
	return kind, packet, err
}

// text is a string with its length.
func text(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }
