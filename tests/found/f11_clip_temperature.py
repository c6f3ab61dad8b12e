from common import *
def f(p,x):
    a=relu(x['a']@p['a'])@p['a2']; b=relu(x['b']@p['b'])@p['b2']; n=lambda v:v/jnp.linalg.norm(v,axis=-1,keepdims=True)
    return n(a)@n(b).T*jnp.exp(p['t'])
l=lambda o,y:-jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(o),y[:,None],1))
X=dict(a=x[:32],b=x[32:,:12]); p=dict(a=N(16,64),a2=N(64,16),b=N(12,64),b2=N(64,16),t=jnp.asarray(6.))
print(winit.jax.audit(f,p,X,jnp.arange(32),l)); q=winit.jax.reinitialize(f,p,X,rng=0); print("t after",q['t'])
print("t=0:",str(winit.jax.audit(f,dict(p,t=jnp.asarray(0.)),X,jnp.arange(32),l)).splitlines()[0])
