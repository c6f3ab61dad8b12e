from common import *
W=[N(48,48,g=2**.5) for _ in range(8)]; W[3]=W[3]*30; W[4]=W[4]/30; i=N(16,48); o=N(48,1,g=.1)
def s(p,x): return jax.lax.scan(lambda h,W:(relu(h@W),None),x@p['i'],p['W'])[0]@p['o']
def u(p,x):
    h=x@p['i']
    for W in p['W']: h=relu(h@W)
    return h@p['o']
a=dict(i=i,W=jnp.stack(W),o=o); b=dict(i=i,W=W,o=o); print("same function",float(jnp.abs(s(a,x)-u(b,x)).max()))
print(winit.jax.audit(s,a,x,y,mse)); print(winit.jax.audit(u,b,x,y,mse))
g=jax.grad(lambda p:mse(u(p,x),y))(b)['W']; print("true effect per layer",[float(w.var()*(d**2).sum()) for w,d in zip(W,g)])
