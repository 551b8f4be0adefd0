package kube

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
)

// Place names a Secret or ConfigMap, with the labels that it is made with.
type Place struct {
	Namespace, Name string
	Labels          map[string]string
}

// KeepSecret hands fill what a Secret holds, nothing if it does not exist, and writes
// what fill has added or changed. Of two who do this at the same time, one begins anew
// with what the other wrote. It needs get, create and update of the Secret.
func (c *Client) KeepSecret(ctx context.Context, at Place, fill func(data map[string][]byte) error) error {
	secrets := c.CoreV1().Secrets(at.Namespace)
	err := retry.OnError(retry.DefaultRetry, another, func() error {
		s, err := secrets.Get(ctx, at.Name, metav1.GetOptions{})
		missing := apierrors.IsNotFound(err)
		if missing {
			s = &corev1.Secret{ObjectMeta: at.meta()}
		} else if err != nil {
			return err
		}
		if s.Data == nil {
			s.Data = map[string][]byte{}
		}
		if err := fill(s.Data); err != nil {
			return err
		}
		if missing {
			_, err = secrets.Create(ctx, s, metav1.CreateOptions{})
		} else {
			_, err = secrets.Update(ctx, s, metav1.UpdateOptions{})
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("keep the Secret %s/%s: %w", at.Namespace, at.Name, err)
	}
	return nil
}

// PutConfigMap writes a ConfigMap with exactly this in it. It needs get, create and
// update of the ConfigMap.
func (c *Client) PutConfigMap(ctx context.Context, at Place, data map[string]string) error {
	maps := c.CoreV1().ConfigMaps(at.Namespace)
	err := retry.OnError(retry.DefaultRetry, another, func() error {
		m, err := maps.Get(ctx, at.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			_, err = maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: at.meta(), Data: data}, metav1.CreateOptions{})
			return err
		}
		if err != nil {
			return err
		}
		m.Data, m.BinaryData = data, nil
		_, err = maps.Update(ctx, m, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("write the ConfigMap %s/%s: %w", at.Namespace, at.Name, err)
	}
	return nil
}

func (p Place) meta() metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name, Labels: p.Labels}
}

// another says that somebody else wrote in between.
func another(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }
